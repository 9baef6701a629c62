from fireweed.text import readable, shortened, width


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("郁金香", "Gänseblümchen", "роза", "<svg onload=alert(1)>", "ab\u200ccd"):
        assert readable(name) == name


def test_invisible_and_broken_characters_become_escapes() -> None:
    assert readable("a\x1b[31m\n") == "a\\x1b[31m\\n"
    assert readable("photo\u202egpj.exe") == "photo\\u202egpj.exe"
    assert readable("b\udcffd").encode("utf-8") == b"b\\udcffd"


def test_shortened_keeps_beginning_and_end_within_the_columns() -> None:
    assert shortened("tulips", 6) == "tulips"
    short = shortened("Schmetterlinge auf der Wiese 17", 16)
    assert short.startswith("Schmetterl")
    assert short.endswith("17")
    assert width(short) <= 16
    for limit in range(1, 30):
        assert width(shortened("郁金香与玫瑰还有向日葵和蒲公英", limit)) <= limit
