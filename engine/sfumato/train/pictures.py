"""A folder of a studio's own pictures and the words beside them, as what a model is trained on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.nn.functional import interpolate

from sfumato.diffusion.display import display_of
from sfumato.errors import InputError, RequestError, SfumatoError
from sfumato.io import read_image

ENDINGS = (".png", ".jpg", ".jpeg", ".exr", ".tif", ".tiff", ".webp", ".dpx", ".bmp", ".tga", ".hdr")
_SOME = 5  # named, where many are wrong


@dataclass(frozen=True)
class Captioned:
    """A picture's file and what it is called in training.

    digest: BLAKE2b of the file's content, 32 hexadecimal digits.
    """

    path: Path
    prompt: str
    digest: str


def find_pictures(folder: str | Path, prompt: str = "") -> list[Captioned]:
    """The pictures of a folder and of the folders in it, by name; hidden files are passed over.

    Args:
        folder: PICTURE.png with its words in PICTURE.txt.
        prompt: Of those without such a file.

    Raises:
        InputError: no such folder, no picture in it, a caption that is no text.
        RequestError: pictures without words, named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", "give the folder that holds the pictures")
    inside = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    files = [
        folder / path
        for path in inside
        if path.suffix.lower() in ENDINGS and not any(part.startswith(".") for part in path.parts)
    ]
    if not files:
        raise InputError(f"there is no picture in {folder}", f"pictures end in {' '.join(ENDINGS)}")
    words = {file: _caption(file) or prompt.strip() for file in files}
    silent = [file for file, said in words.items() if not said]
    if silent:
        named = _named(silent, folder)
        raise RequestError(
            f"{len(silent)} of {len(files)} pictures have no caption: {named}",
            f"write what each shows into {silent[0].with_suffix('.txt').name} beside it, or say it once with --prompt",
        )
    return [Captioned(file, said, _digest(file)) for file, said in words.items()]


def read_picture(path: Path, size: tuple[int, int]) -> Tensor:
    """A picture as models are shown them, (3, height, width) float32, display-referred 0..1, Rec.709 and sRGB's curve.

    Scaled so that it fills `size` (height, width), and cut evenly on both sides where it is wider or higher.

    Raises:
        InputError: unreadable, or without one finite pixel. RequestError: it has no colours.
    """
    plate = read_image(path)
    display = display_of(plate)
    light = display.light(plate.rgb().nan_to_num(0.0, 1.0, 0.0))
    high, wide = light.shape[1:]
    scale = max(size[0] / high, size[1] / wide)
    scaled = (max(size[0], round(high * scale)), max(size[1], round(wide * scale)))
    fitted = interpolate(light[None], scaled, mode="bicubic", align_corners=False, antialias=True)[0].clamp(0, 1)
    top, left = (scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2
    return display.encode(fitted[:, top : top + size[0], left : left + size[1]]).contiguous()


def read_all(pictures: Sequence[Captioned], size: tuple[int, int]) -> None:
    """Read every picture once, so that one that cannot be read is told before anything is computed.

    Raises:
        InputError: those that cannot be read, named, with the first one's reason.
    """
    lost: list[tuple[Path, SfumatoError]] = []
    for picture in pictures:
        try:
            read_picture(picture.path, size)
        except SfumatoError as error:
            lost.append((picture.path, error))
    if lost:
        named = _named([path for path, _ in lost], lost[0][0].parent)
        raise InputError(
            f"{len(lost)} of {len(pictures)} pictures cannot be read: {named}; {lost[0][1].message}",
            "replace them or take them out of the folder",
        )


def _caption(file: Path) -> str:
    beside = file.with_suffix(".txt")
    if not beside.is_file():
        return ""
    try:
        return " ".join(beside.read_text(encoding="utf-8").split())
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{beside} cannot be read as text: {error}", "save it as UTF-8") from None


def _named(files: Sequence[Path], folder: Path) -> str:
    names = [file.relative_to(folder).as_posix() if folder in file.parents else str(file) for file in files[:_SOME]]
    return ", ".join(names) + (f" and {len(files) - _SOME} more" if len(files) > _SOME else "")


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}", "check who may read it") from None
