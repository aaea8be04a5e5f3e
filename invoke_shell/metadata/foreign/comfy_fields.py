"""The fields of ComfyUI's common nodes, in the order in which its editor keeps their values."""

from __future__ import annotations

__all__ = ["AFTER", "FIELDS", "SEEDS"]

SEEDS = ("seed", "noise_seed")
AFTER = ("fixed", "increment", "decrement", "randomize")  # what the editor does to a seed; true or false in 2023

_TABLE = """
KSampler: seed steps cfg sampler_name scheduler denoise
KSamplerAdvanced: add_noise noise_seed steps cfg sampler_name scheduler start_at_step end_at_step
KSampler (Efficient): seed steps cfg sampler_name scheduler denoise preview_method vae_decode
SamplerCustom: add_noise noise_seed cfg
KSamplerSelect: sampler_name
RandomNoise: noise_seed
CFGGuider: cfg
BasicScheduler: scheduler steps denoise
KarrasScheduler: steps sigma_max sigma_min rho
ExponentialScheduler: steps sigma_max sigma_min
PolyexponentialScheduler: steps sigma_max sigma_min rho
SDTurboScheduler: steps denoise
BetaSamplingScheduler: steps alpha beta
AlignYourStepsScheduler: model_type steps denoise
CheckpointLoaderSimple: ckpt_name
CheckpointLoader: config_name ckpt_name
unCLIPCheckpointLoader: ckpt_name
UNETLoader: unet_name weight_dtype
UnetLoaderGGUF: unet_name
CLIPLoader: clip_name type device
DualCLIPLoader: clip_name1 clip_name2 type device
VAELoader: vae_name
LoraLoader: lora_name strength_model strength_clip
LoraLoaderModelOnly: lora_name strength_model
Efficient Loader: ckpt_name vae_name clip_skip lora_name lora_model_strength lora_clip_strength positive negative \
token_normalization weight_interpretation empty_latent_width empty_latent_height batch_size
CLIPSetLastLayer: stop_at_clip_layer
CLIPTextEncode: text
CLIPTextEncodeSDXL: width height crop_w crop_h target_width target_height text_g text_l
CLIPTextEncodeSDXLRefiner: ascore width height text
CLIPTextEncodeFlux: clip_l t5xxl guidance
CLIPTextEncodeSD3: clip_l clip_g t5xxl empty_padding
FluxGuidance: guidance
ConditioningAverage: conditioning_to_strength
ConditioningSetArea: width height x y strength
ConditioningSetAreaPercentage: width height x y strength
ConditioningSetMask: strength set_cond_area
ConditioningSetTimestepRange: start end
ControlNetLoader: control_net_name
DiffControlNetLoader: control_net_name
ControlNetApply: strength
ControlNetApplyAdvanced: strength start_percent end_percent
IPAdapterModelLoader: ipadapter_file
IPAdapterUnifiedLoader: preset
IPAdapter: weight start_at end_at weight_type
IPAdapterAdvanced: weight weight_type combine_embeds start_at end_at embeds_scaling
EmptyLatentImage: width height batch_size
EmptySD3LatentImage: width height batch_size
LatentUpscale: upscale_method width height crop
LatentUpscaleBy: upscale_method scale_by
LatentFromBatch: batch_index length
RepeatLatentBatch: amount
ImageScale: upscale_method width height crop
ImageScaleBy: upscale_method scale_by
ImageScaleToTotalPixels: upscale_method megapixels
UpscaleModelLoader: model_name
UltimateSDUpscale: upscale_by seed steps cfg sampler_name scheduler denoise mode_type tile_width tile_height
VAEEncodeForInpaint: grow_mask_by
LoadImage: image upload
LoadImageMask: image channel upload
SaveImage: filename_prefix
PrimitiveString: value
PrimitiveStringMultiline: value
PrimitiveInt: value
PrimitiveFloat: value
String Literal: string
Text Multiline: text
Seed (rgthree): seed
SDXL Empty Latent Image (rgthree): dimensions clip_scale batch_size
"""
FIELDS = {
    kind: tuple(names.split())
    for kind, _, names in (line.partition(": ") for line in _TABLE.strip().split("\n"))
}  # fmt: skip
