import pytest

from base.errors import Misconfigured, NotFound
from orchestrator.catalogue import Catalogue
from orchestrator.responders.client import ClientResponder
from orchestrator.responders.echo import EchoResponder
from orchestrator.settings import OrchestratorSettings

pytestmark = pytest.mark.unit


def test_built_ins_are_shared_and_a_clients_own_is_not():
    catalogue = Catalogue(OrchestratorSettings())
    assert catalogue.get("echo") is catalogue.get("echo")
    assert isinstance(catalogue.get("client"), ClientResponder)
    assert catalogue.get("client") is not catalogue.get("client")


def test_no_name_is_the_operators_default():
    assert Catalogue(OrchestratorSettings(responder="echo")).get("").name == "echo"


@pytest.mark.parametrize("name", ["nobody", "os:system", "orchestrator.responders.echo:EchoResponder", "../x"])
def test_a_session_cannot_name_code(name):
    with pytest.raises(NotFound, match=r"one of: tour, eliza, echo"):
        Catalogue(OrchestratorSettings()).get(name)


def test_the_operator_can():
    name = "orchestrator.responders.echo:EchoResponder"
    catalogue = Catalogue(OrchestratorSettings(responder=name))
    assert isinstance(catalogue.get(""), EchoResponder)
    assert catalogue.get(name) is catalogue.get("")


@pytest.mark.parametrize("name", ["nobody", "no_such_module:x", "orchestrator.responders.echo:Nothing"])
def test_an_operators_mistake_is_told_at_the_start(name):
    with pytest.raises(Misconfigured, match=name.split(":")[0]):
        Catalogue(OrchestratorSettings(responder=name))


def test_openai_needs_a_url():
    with pytest.raises(Misconfigured, match="llm_url"):
        Catalogue(OrchestratorSettings(responder="openai"))
    with pytest.raises(NotFound, match="llm_url"):
        Catalogue(OrchestratorSettings()).get("openai")


def test_a_key_file_that_is_not_there_is_named():
    catalogue = Catalogue(OrchestratorSettings(llm_url="http://127.0.0.1:9/v1", llm_key_file="no/such/key"))
    with pytest.raises(Misconfigured, match="no/such/key"):
        catalogue.get("openai")
