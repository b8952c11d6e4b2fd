import io
import json
import logging

import pytest

from edge.log import LogSection, configure, get_logger


def lines(section: LogSection, **values: object) -> list[str]:
    out = io.StringIO()
    configure(section, out)
    get_logger("test").info("text received", **values)
    return out.getvalue().splitlines()


FORGERIES = [
    "x\nlevel=error event=forged",
    "x\r\nlevel=error",
    "x\u2028level=error",
    '" level=error',
    "x\x1b[31m",
    "x\\",
]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_nothing_from_the_wire_forges_a_logfmt_line(forgery: str) -> None:
    (line,) = lines(LogSection(), user_agent=forgery)
    assert line.isprintable()
    assert line.count(" level=") - line.count("x level=") >= 1
    value = line.split("user_agent=", 1)[1]
    assert value.startswith('"')
    assert value.endswith('"')
    assert '"' not in value[1:-1].replace("\\\\", "").replace('\\"', "")


@pytest.mark.parametrize("forgery", FORGERIES)
def test_nothing_from_the_wire_forges_a_json_line(forgery: str) -> None:
    (line,) = lines(LogSection(format="json"), user_agent=forgery)
    assert json.loads(line)["user_agent"] == forgery


def test_a_forged_key_cannot_break_the_line() -> None:
    (line,) = lines(LogSection(), **{"a b=\n": 1})
    assert line.endswith("a_b__=1")


def test_numbers_and_bodies_are_redacted_unless_asked_for() -> None:
    (line,) = lines(LogSection(), caller="+14155550199", text="my secret", digits="1234")
    assert "4155550199" not in line
    assert "secret" not in line
    assert "1234" not in line
    assert "caller=…199" in line
    (line,) = lines(LogSection(private=True), caller="+14155550199", text="hi")
    assert "caller=+14155550199" in line


def test_a_number_in_an_error_is_redacted_and_an_id_is_not() -> None:
    error = "play (id 01a2089e-2fbe-7c11-8df9-004433221100): +14155550199 is no active number of this account"
    (line,) = lines(LogSection(), error=error)
    assert "…199 is no active number" in line
    assert "4155550199" not in line
    assert "01a2089e-2fbe-7c11-8df9-004433221100" in line
    (line,) = lines(LogSection(private=True), error=error)
    assert "+14155550199" in line


def test_the_level_is_kept() -> None:
    out = io.StringIO()
    configure(LogSection(level="warning"), out)
    get_logger("test").info("quiet")
    get_logger("test").warning("loud", count=3, ratio=0.5, on=True, none=None)
    (line,) = out.getvalue().splitlines()
    assert line.endswith("part=test event=loud count=3 ratio=0.5 on=true none=-")


def test_the_library_s_lines_have_the_same_form() -> None:
    out = io.StringIO()
    configure(LogSection(format="json"), out)
    logging.getLogger("aiohttp.server").error("bad request %s", "x\ny")
    assert json.loads(out.getvalue())["event"] == "bad request x\ny"


def test_an_exception_stays_on_its_line() -> None:
    out = io.StringIO()
    configure(LogSection(), out)
    try:
        raise ValueError("broken")
    except ValueError:
        get_logger("test").exception("call failed")
    assert len(out.getvalue().splitlines()) == 1
    assert "ValueError: broken" in out.getvalue()
