# Recipes for people who work on Antiphon; `just` lists them. Each is a line that you could type yourself.
set positional-arguments

# the list of recipes
default:
    @{{just_executable()}} --list

# all services on this machine; prints the address
up *args:
    ./antiphon up "$@"

# talk from the terminal to a running system (just chat --text types)
chat *args:
    ./antiphon chat "$@"

# any command: just cli voices --json
cli *args:
    ./antiphon "$@"

# src/pb from proto/
gen-proto:
    ./antiphon dev python scripts/gen_proto.py

# docs/protocol.schema.json from the messages
gen-schema:
    ./antiphon dev python scripts/gen_schema.py

# docs/configuration.md and configs/antiphon.toml from the settings
gen-config:
    ./antiphon dev python scripts/gen_config_docs.py
    ./antiphon dev python scripts/gen_config_example.py

# the locks from requirements*.in (keeps what is locked; `just lock --upgrade` renews)
lock *args:
    ./antiphon dev uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q "$@" -o requirements.lock requirements.in
    ./antiphon dev uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q "$@" -o requirements-piper.lock requirements-piper.in
    ./antiphon dev uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q "$@" -o requirements-whisper.lock requirements-whisper.in
    ./antiphon dev uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q "$@" -o requirements-moonshine.lock requirements-moonshine.in
    ./antiphon dev uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q "$@" -o requirements-livekit.lock requirements-livekit.in
    ./antiphon dev uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q "$@" -o requirements-dev.lock requirements-dev.in
    ./antiphon dev uv pip compile --python-version 3.13 --python-platform linux --generate-hashes --no-header --no-annotate -q "$@" -o deploy/requirements-cuda.lock deploy/requirements-cuda.in
    ./antiphon dev python scripts/check_lock.py

# style, layers, generated files
lint:
    ./antiphon dev ruff check .
    ./antiphon dev ruff format --check .
    ./antiphon dev lint-imports
    ./antiphon dev python scripts/gen_proto.py --check
    ./antiphon dev python scripts/gen_schema.py --check
    ./antiphon dev python scripts/gen_config_docs.py --check
    ./antiphon dev python scripts/gen_config_example.py --check

# what ruff can put right by itself
fix:
    ./antiphon dev ruff check --fix .
    ./antiphon dev ruff format .

# mypy --strict
typecheck:
    ./antiphon dev mypy

# the tests; arguments go to pytest
test *args:
    ./antiphon test "$@"

# the tests with processes and sockets, each in a process of its own
test-integration *args:
    ./antiphon test --forked tests/integration "$@"

# what CI runs
ci:
    ./.ci/run

# the orchestrator alone (it looks for a registry on its usual port)
run-orch *args:
    ./antiphon orchestrator "$@"

# a TTS worker with the mock engine: a 440 Hz tone for every text
run-tts-mock *args:
    ./antiphon tts-worker --engine sine --registry 127.0.0.1:50050 "$@"

# where a running process spends its time (needs root on most systems): just spy-top PID
spy-top pid=`pgrep -f 'antiphon orchestrator' | head -n 1`:
    ./antiphon dev uv tool run py-spy top --pid {{pid}}
