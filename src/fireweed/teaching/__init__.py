"""What the labs in labs/ use besides Fireweed itself: photos as arrays, figures, and checks of the reader's answers.

>>> from fireweed.teaching import checks
>>> checks.check_neuron(lambda inputs, weights, bias: max(0.0, float(inputs @ weights)))
Not yet: inputs [1. 2. 3.], weights [0.5 0.5 0.5] and bias 1 give 4, but your answer is 3. Is the bias added?
"""

from fireweed.teaching.language import begin, speak
from fireweed.teaching.lesson_photos import LessonPhotos, load_photos
from fireweed.teaching.measured import measured
from fireweed.teaching.tries import Tries, Try

__all__ = ["LessonPhotos", "Tries", "Try", "begin", "load_photos", "measured", "speak"]
