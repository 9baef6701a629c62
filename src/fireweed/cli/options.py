"""The program's commands as a whole, and what several of them are asked for."""

from typing import Annotated, Any, Optional

import typer
import typer.core

from fireweed.version import __version__


class Interrupted(BaseException):
    """Ctrl-C, by a name that typer does not know: some versions would make another exit of it."""


class _Commands(typer.core.TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted from error


app = typer.Typer(
    cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Train modern convolutional image classifiers, from a folder of photos to a tested, saved model.",
)  # fmt: skip

Text = Optional[str]  # noqa: UP045 - typer reads Optional on every Python it supports
DATA_HELP = (
    "a folder with one folder per class (or train/validation/test with such), a CSV (path,label[,split]), a zip or tar "
    "of these, TFRecord shards ('photos*.tfrec', also gs://), or a named set: drawn, flowers"
)
Device = Annotated[str, typer.Option(help="auto, tpu, gpu or cpu.")]
Devices = Annotated[Optional[int], typer.Option(help="How many share each batch; by default all TPUs or GPUs.")]  # noqa: UP045
Backend = Annotated[Text, typer.Option(help="tensorflow or jax; by default what suits the device.")]
Precision = Annotated[Text, typer.Option(help="auto, float32, mixed_bfloat16 or mixed_float16.")]
Tpu = Annotated[Text, typer.Option(help="Name of a Cloud TPU.")]
Zone = Annotated[Text, typer.Option(help="Zone of that TPU.")]
Project = Annotated[Text, typer.Option(help="Cloud project of that TPU.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fireweed {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    pass
