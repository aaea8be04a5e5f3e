"""python -m training.pocket: draw, train and write the model in the box; run again to go on where it stopped."""

from __future__ import annotations

import argparse
import platform
from datetime import date
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTokenizer

from training.pocket import judge, text, unet, vae
from training.pocket.common import note
from training.pocket.folder import write_folder
from training.pocket.tokenizer import write_tokenizer

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / "invoke_shell" / "assets" / "pocket"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.pocket", description=__doc__)
    parser.add_argument("--scratch", type=Path, required=True, help="folder for checkpoints and the log; keep it")
    parser.add_argument("--to", type=Path, default=FOLDER, help="the model folder to write")
    parser.add_argument("--vae-minutes", type=float, default=14)
    parser.add_argument("--text-minutes", type=float, default=4)
    parser.add_argument("--unet-minutes", type=float, default=75)
    parser.add_argument("--decoder-minutes", type=float, default=0, help="of the decoder alone, at the end")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    scratch, device = options.scratch, torch.device(options.device)
    log = scratch / "log.md"
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, {device}, torch {torch.__version__}"
    note(log, f"\n{date.today()}, {machine}\n")
    note(log, "| part | step | minutes | measured | |\n| --- | --- | --- | --- | --- |")

    pictures = vae.finished(scratch, options.vae_minutes, device=device)
    write_tokenizer(scratch / "tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(scratch / "tokenizer")
    words = text.train(scratch, tokenizer, options.text_minutes, device=device).eval().requires_grad_(False)

    def report(average: UNet2DConditionModel, step: int) -> None:
        """A quick look: 50 prompts of the judge's, on weights so far."""
        write_folder(scratch / "folder", words, average, pictures)
        asked = judge.tasks(50)
        answers = judge.judge(judge.paint_all(judge.painter(scratch / "folder"), asked), asked)
        shares = ", ".join(f"{name} {100 * sum(right) // len(right)}" for name, right in answers.items())
        note(log, f"| judge | {step} | | {shares} | of 50 |")

    average = unet.train(scratch, pictures, words, tokenizer, options.unet_minutes, device=device, report=report)
    if options.decoder_minutes:
        pictures = vae.train(scratch, options.decoder_minutes, decoder_only=True, device=device).eval()
    write_folder(options.to, words, average, pictures)


main()
