"""Which program made a picture, by the names of its texts and how they begin. Nothing is parsed here."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["tool_of"]

# The first name found decides; the order is from the most telling to the least.
BY_KEYWORD = {
    "invokeai_metadata": "invokeai",
    "invokeai_workflow": "invokeai",
    "invokeai_graph": "invokeai",
    "invokeai": "invokeai",
    "sd-metadata": "invokeai",
    "Dream": "invokeai",
    "dream": "invokeai",
    "fooocus_scheme": "fooocus",
    "DgenerateConfig": "dgenerate",
    "mold:prompt": "mold",
    "mold:seed": "mold",
    "generation_data": "tensorart",
    "parameters-json": "stability-matrix",
    "smproj": "stability-matrix",
}
BY_SOFTWARE = {"NovelAI": "novelai", "Draw Things": "drawthings", "Fooocus": "fooocus"}
# What stands in `parameters`, a UserComment or a comment.
BY_WORDS = {
    "Version: invoke_shell": "invoke_shell",
    "sui_image_params": "swarmui",
    "RuinedFooocus": "fooocus",
    "mold:parameters": "mold",
    "dgenerate --file": "dgenerate",
    '"Software":"NovelAI"': "novelai",
    '"Software": "NovelAI"': "novelai",
    "App: SD.Next": "sdnext",
    "Version: f": "forge",
    "Version: neo": "forge",
    "Steps: ": "a1111",
    '"num_inference_steps"': "huggingface",
    '"class_type"': "comfyui",
}


def tool_of(texts: Mapping[str, str]) -> str:
    """The program's name in lower case; "" when nothing tells. `sd-metadata` of our own is looked for before."""
    if texts.get("parameters", "").find("Version: invoke_shell") >= 0:
        return "invoke_shell"  # a site dropped the rest
    for keyword, tool in BY_KEYWORD.items():
        if keyword in texts:
            return tool
    for word, tool in BY_SOFTWARE.items():
        if texts.get("Software", "").startswith(word):
            return tool
    by_words = _by_words(texts)
    # Savers for ComfyUI write both; of the programs that write `Steps: ` themselves none has a graph.
    if by_words in ("a1111", "") and '"class_type"' in texts.get("prompt", ""):
        return "comfyui"
    return by_words or _by_graph(texts)


def _by_words(texts: Mapping[str, str]) -> str:
    told = " ".join(texts.get(name, "") for name in ("parameters", "UserComment", "comment"))
    return next((tool for word, tool in BY_WORDS.items() if word in told), "")


def _by_graph(texts: Mapping[str, str]) -> str:
    """ComfyUI keeps a JSON graph in `prompt`; Easy Diffusion the prompt itself, and each value in its own text."""
    if "workflow" in texts or texts.get("prompt", "").startswith("{"):
        return "comfyui"
    made = (texts.get(name, "").lower() for name in ("Model", "Make", "ImageDescription"))  # its WebP and JPEG savers
    if any(text.startswith(("prompt:", "workflow:")) for text in made):
        return "comfyui"
    return "easydiffusion" if "prompt" in texts and "seed" in texts else ""
