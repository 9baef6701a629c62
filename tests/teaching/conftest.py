"""Both languages, for tests of what the lessons say and draw."""

import pytest

from fireweed.teaching.language import speak


@pytest.fixture(params=["en", "zh-TW"])
def language(request):
    """Speak each language in turn, and English again afterwards."""
    speak(request.param)
    yield request.param
    speak("en")
