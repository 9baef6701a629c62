"""A training that goes by the clock ends in time, with its rate at the end of the curve, whatever the machine does."""

import types

import numpy as np
import pytest

from fireweed.errors import RunError
from fireweed.recipe import checked
from fireweed.training.clock import Budget, ClockCourse

STEPS = 20
PEAK = 1e-2
SAVING = 0.2  # seconds between epochs without a validation


def recipe(*phases, **schedule):
    phases = [{"side": side, "epochs": epochs} for side, epochs in phases or [(64, 12), (96, 4)]]
    kind = {"kind": "cosine", "peak": PEAK, "warmup": 0.2, "start": 0.0, **schedule}
    return checked({"training": {"phases": phases, "schedule": kind}})


class Machine:
    """A machine whose steps take `pace(seconds since the start)` times what they should; knows nothing of Keras.

    estimated: times what it takes, as the budget has the steps. is_guess: whether the finishing time is reckoned alike.
    """

    def __init__(self, pace=lambda seconds: 1.0, step=0.5, between=3.0, finishing=8.0, first_step=4.0, estimated=1.0,
                 is_guess=False, decoding=0.0, validate_every=1):  # fmt: skip
        self.pace, self.step, self.between, self.finishing, self.first_step = pace, step, between, finishing, first_step
        self.estimated, self.is_guess, self.decoding, self.every = estimated, is_guess, decoding, validate_every
        self.time = 100.0
        self.rates, self.epochs, self.sides = [], [], []

    def take(self, seconds):
        self.time += seconds * self.pace(self.time - 100.0)

    def course(self, asked, seconds, state=None):
        steps = tuple(self.estimated * self.step * (p.side / 64) ** 2 for p in asked.training.phases)
        finishing = self.finishing * (self.estimated if self.is_guess else 1)
        budget = Budget(seconds, self.time, finishing, self.between, steps, SAVING, self.decoding, self.is_guess,
                        asked.total_epochs)  # fmt: skip
        course = ClockCourse(asked, STEPS, budget, self.every, lambda: self.time)
        if state is not None:
            course.restore(state)
        optimizer = types.SimpleNamespace(learning_rate=None)
        course.set_model(types.SimpleNamespace(stop_training=False, optimizer=optimizer))
        return course

    def train(self, course, first_side=64, most_epochs=10**9):
        """Do what Keras's `fit` does; return the time at which all files would be written."""
        phase = None
        while stretch := course.next_stretch(len(self.epochs)):
            course.model.stop_training = False
            while len(self.epochs) < stretch.last_epoch and not course.model.stop_training:
                course.on_epoch_begin(len(self.epochs))
                for done in range(1, stretch.epoch_steps + 1):
                    course.on_train_batch_begin(done - 1)
                    self.rates.append(course.model.optimizer.learning_rate)
                    self.take(self.step * (stretch.side / first_side) ** 2)
                    self.take(self.first_step if stretch.phase != phase else 0)
                    phase = stretch.phase
                    course.on_train_batch_end(done - 1)
                    if course.model.stop_training:
                        break
                self.epochs.append(done)
                self.sides.append(stretch.side)
                validated, rest = divmod(len(self.epochs), course.validated)
                self.take(SAVING if rest else self.between + (self.decoding if validated == 1 else 0))
                course.on_epoch_end(len(self.epochs) - 1)
                if len(self.epochs) == most_epochs:
                    return self.time
        self.take(self.finishing)
        return self.time


PACES = {
    "steady": lambda t: 1.0,
    "slower all the time": lambda t: 1.0 + 0.3 * t / 600,
    "faster all the time": lambda t: 1.0 - 0.3 * t / 600,
    "slower from the middle on": lambda t: 1.3 if t > 300 else 1.0,
    "waves": lambda t: 1.0 + 0.3 * np.sin(t / 40),
}


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("seconds", [120, 600])
@pytest.mark.parametrize("phases", [[(64, 12), (96, 4)], [(64, 1)], [(64, 300), (96, 100)]])
def test_it_ends_in_time_whatever_the_speed_does(pace, seconds, phases):
    machine = Machine(PACES[pace])
    ended = machine.train(machine.course(recipe(*phases), seconds))
    assert abs(ended - 100 - seconds) <= 0.05 * seconds + machine.step
    assert min(machine.rates) >= 0 and machine.rates[-1] < 0.05 * PEAK
    assert max(machine.rates) > 0.9 * PEAK
    assert sorted(machine.sides) == machine.sides


@pytest.mark.parametrize("is_guess", [False, True])
@pytest.mark.parametrize("estimated", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("phases", [[(64, 12), (96, 4)], [(64, 1)]])
def test_what_steps_were_taken_to_need_spoils_a_measured_finishing_time_never_and_a_guess_is_put_right(
    is_guess, estimated, phases
):
    machine = Machine(finishing=30.0, estimated=estimated, is_guess=is_guess)
    ended = machine.train(machine.course(recipe(*phases), 240))
    assert ended - 100 == pytest.approx(240, abs=5)


@pytest.mark.parametrize("later", [0.6, 1.7])
@pytest.mark.parametrize("estimated", [0.5, 1.0, 2.0])
def test_a_machine_that_changes_within_the_run_changes_its_end_too(later, estimated):
    machine = Machine(lambda t: later if t > 200 else 1.0, finishing=60.0, estimated=estimated)
    ended = machine.train(machine.course(recipe(), 900))
    assert ended - 100 == pytest.approx(900, abs=12)


@pytest.mark.parametrize("seconds", [80, 300])
def test_validation_photos_are_decoded_once(seconds):
    machine = Machine(decoding=25.0)
    assert machine.train(machine.course(recipe((64, 8)), seconds)) - 100 == pytest.approx(seconds, abs=4)
    assert machine.rates[-1] < 0.05 * PEAK


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("every", [2, 7])
def test_validations_of_some_epochs_only_leave_more_time_to_train(pace, every):
    def trained(every):
        machine = Machine(PACES[pace], between=15.0, finishing=20.0, decoding=10.0, validate_every=every)
        course = machine.course(recipe((64, 20), (96, 10)), 600)
        ended = machine.train(course) - 100
        assert abs(ended - 600) <= 0.03 * 600 and machine.rates[-1] < 0.05 * PEAK
        return len(machine.rates)

    assert trained(every) > 1.3 * trained(1)


def test_a_time_that_suffices_for_little_of_the_plan_is_told():
    machine = Machine(lambda seconds: 4.0)
    course = machine.course(recipe((64, 12), (96, 4)), 240)
    machine.train(course)
    made = len(machine.rates)
    assert made < 16 * STEPS / 2
    (note,) = course.notes(len(machine.epochs), stopped_early=False)
    assert f"sufficed for {made} steps of 320 only" in note and "more minutes, or a smaller net" in note
    machine = Machine()
    course = machine.course(recipe((64, 12), (96, 4)), 240)
    machine.train(course)
    assert "only" not in course.notes(len(machine.epochs), stopped_early=False)[0]


def test_an_epoch_that_is_stretched_says_how_many_steps_it_will_have():
    machine, said = Machine(), []
    course = machine.course(recipe((64, 20)), 110)
    course.on_epoch_end = lambda epoch: (said.append(course.epoch_steps), ClockCourse.on_epoch_end(course, epoch))
    machine.train(course)
    assert said[0] == machine.epochs[0] == STEPS
    assert said[-1] != STEPS and abs(said[-1] - machine.epochs[-1]) <= 0.2 * machine.epochs[-1]


def test_what_ended_a_training_is_said():
    machine = Machine()
    course = machine.course(recipe((64, 20)), 1200)
    machine.train(course, most_epochs=1)
    assert course.notes(16, False)[0].startswith("the clock decided: 16 epochs, whole and in part, in 20 min; ")
    assert course.notes(1, True)[0].startswith("patience ended the training after 1 epoch, whole and in part, in 17 s")


def test_a_run_of_an_older_version_is_told_so_and_a_shorter_time_than_was_given_holds():
    machine = Machine()
    state = machine.course(recipe(), 300).state()
    assert machine.course(recipe(), 600, state).seconds_left() == pytest.approx(300)


def test_the_start_of_the_command_that_goes_on_is_part_of_the_time_that_was_left():
    machine = Machine()
    state = machine.course(recipe(), 300).state() | {"seconds_used": 100.0}
    budget = Budget(300, machine.time - 15, 8.0, 3.0, (0.5, 1.0))
    course = ClockCourse(recipe(), STEPS, budget, now=lambda: machine.time)
    assert course.restore(state) == "with 3 min of 5 min left"
    assert course.seconds_left() == pytest.approx(200 - 15)
    for old in ({}, {name: value for name, value in state.items() if name != "seconds"}):
        with pytest.raises(RunError, match="begun by an older version"):
            machine.course(recipe(), 300, old)


def test_a_steady_machine_makes_the_schedule_of_the_recipe():
    """The curve over the steps is that of the recipe, though a step at the larger side takes more of the time."""
    machine = Machine(first_step=0.0, between=0.0, finishing=0.0)
    asked = recipe()
    planned = 12 * STEPS * 0.5 + 4 * STEPS * 0.5 * 2.25
    course = machine.course(asked, planned)
    assert machine.train(course) - 100 == pytest.approx(planned, abs=1)
    assert machine.epochs == [STEPS] * 16 and machine.sides == [64] * 12 + [96] * 4
    from fireweed.training.schedules import learning_rates

    assert np.abs(np.asarray(machine.rates) - learning_rates(asked, STEPS)).max() < 0.04 * PEAK
    assert np.allclose(course.rates_taken(), machine.rates)


def test_no_epoch_is_shorter_than_half_or_longer_than_two():
    for seconds in range(60, 240, 7):
        machine = Machine()
        machine.train(machine.course(recipe((64, 20)), seconds))
        assert all(STEPS / 2 - 2 <= steps <= 2 * STEPS for steps in machine.epochs), machine.epochs
        assert STEPS not in machine.epochs or len(set(machine.epochs)) <= 2


def test_a_stopped_training_has_the_time_that_was_left_and_the_rest_of_the_curve():
    machine = Machine()
    course = machine.course(recipe(), 300)
    at = machine.train(course, most_epochs=6)
    state, before = course.state(), len(machine.rates)
    assert state["seconds_used"] == pytest.approx(at - 100)
    machine.time += 5000  # nobody trained
    again = machine.course(recipe(), 300, state)
    began = machine.time
    ended = machine.train(again)
    assert at - 100 + ended - began == pytest.approx(300, abs=8)
    assert machine.rates[before] == pytest.approx(machine.rates[before - 1], rel=0.1)
    assert machine.rates[-1] < 0.05 * PEAK and len(again.rates_taken()) == len(machine.rates)


def test_time_that_is_over_ends_at_once_but_never_without_an_epoch():
    machine = Machine()
    course = machine.course(recipe(), 60)
    machine.time += 100
    machine.train(course)
    assert machine.epochs == [1]
    assert course.next_stretch(1) is None


def test_a_step_that_takes_a_hundred_times_as_long_ends_nothing():
    machine, hiccups = Machine(step=0.02, between=0.2, finishing=2.0, first_step=1.0), iter([2.0, 0.0, 0.0, 2.0])
    take, number = machine.take, iter(range(10**9))
    machine.take = lambda seconds: take(seconds + (next(hiccups, 0.0) if next(number) in (3, 5, 600, 602) else 0.0))
    assert machine.train(machine.course(recipe((64, 20)), 30)) - 100 == pytest.approx(30, abs=1.5)
    assert len(machine.rates) > 700


def test_rates_that_change_between_epochs_do_so_by_shares_of_the_plan():
    machine = Machine(first_step=0.0)
    asked = recipe((64, 10), kind="ramp-sustain-decay", ramp_epochs=5, decay=0.5, floor=1e-5)
    machine.train(machine.course(asked, 400))
    assert len(set(machine.rates)) == 10
    assert machine.rates[0] == 0.0 and machine.rates[-1] == pytest.approx(1e-5 + (PEAK - 1e-5) * 0.5**4)
