"""Sample pictures from the command line: python -m gesso.sandbox.painter --prompt "…" --out picture.webp"""

import argparse
from pathlib import Path

from gesso.sandbox.painter.encode import FORMATS, encode
from gesso.sandbox.painter.paint import RECIPES, paint


def main() -> None:
    parser = argparse.ArgumentParser(prog="gesso.sandbox.painter", description="Paints one sample picture.")
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--out", required=True, type=Path, help="file to write; .jpg, .jpeg, .png or .webp")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--recipe", choices=sorted(RECIPES), help="paint this recipe whatever the words say")
    arguments = parser.parse_args()
    suffix = arguments.out.suffix.lower().lstrip(".").replace("jpg", "jpeg")
    file_format = next((f for f in FORMATS if f == suffix), None)
    if file_format is None:
        parser.error(f"--out must end in .jpg, .{', .'.join(FORMATS)}")
    try:
        picture = paint(
            arguments.prompt,
            seed=arguments.seed,
            width=arguments.width,
            height=arguments.height,
            recipe=arguments.recipe,
        )
    except ValueError as error:
        parser.error(str(error))
    arguments.out.write_bytes(encode(picture, file_format))


if __name__ == "__main__":
    main()
