from edge import errors
from edge.errors import EdgeError, Fault, Invalid


def every_error() -> list[type[EdgeError]]:
    return [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, EdgeError)]


def test_every_error_means_a_final_answer_on_both_doors() -> None:
    for error in every_error():
        assert 400 <= error.http < 600, error
        assert 400 <= error.sip < 700, error
        assert error.status.isupper(), error


def test_the_reason_is_the_status_unless_a_finer_word_is_given() -> None:
    assert errors.NotFound("x").reason == "NOT_FOUND"
    assert errors.NotFound("x", reason="NUMBER_NOT_FOUND").reason == "NUMBER_NOT_FOUND"


def test_invalid_names_every_place() -> None:
    error = Invalid("two faults", faults=[Fault("actions[2].option.length", "must be 0 or more"), Fault("", "empty")])
    assert [str(fault) for fault in error.faults] == ["actions[2].option.length: must be 0 or more", "empty"]
