"""A deployment as a user outside meets it: each path is tried by itself, and what fails is told with what to do."""

from antiphon.outside.examine import Site as Site
from antiphon.outside.examine import examine as examine
