"""What every diffusion loop shares: text states, the network's pass, what it predicts, the loss."""

from __future__ import annotations

from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer


def build_controlnet(unet: UNet2DConditionModel, latent_factor: int = 4) -> ControlNetModel:
    """Return a ControlNet whose encoder is the UNet's and whose output starts at zero.

    Args:
        unet: The denoiser to be guided.
        latent_factor: Pixels per latent cell, a power of two; the mask is brought down by it.
    """
    widths = (16, 32, 96, 256) if latent_factor == 8 else (16, 32, 64, 128)
    halvings = latent_factor.bit_length()
    return ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=widths[:halvings])


def embed(texts: list[str], tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> Tensor:
    """Return text states (B, 77, D)."""
    tokens = tokenizer(
        texts,
        padding="max_length",
        truncation=True,
        max_length=tokenizer.model_max_length,
        return_tensors="pt",
    )
    states: Tensor = text_encoder(tokens.input_ids.to(text_encoder.device))[0]
    return states


def denoise(
    unet: UNet2DConditionModel,
    controlnet: ControlNetModel,
    noisy: Tensor,
    timesteps: Tensor,
    text: Tensor,
    control: Tensor,
) -> Tensor:
    """Return the prediction (B, C, h, w) of the UNet guided by the ControlNet."""
    down, middle = controlnet(
        noisy, timesteps, encoder_hidden_states=text, controlnet_cond=control, return_dict=False
    )
    prediction: Tensor = unet(
        noisy,
        timesteps,
        encoder_hidden_states=text,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
        return_dict=False,
    )[0]
    return prediction


def diffusion_target(
    scheduler: DDIMScheduler, latents: Tensor, noise: Tensor, timesteps: Tensor
) -> Tensor:
    """Return what the model is to predict, noise or velocity, as its scheduler is configured."""
    if scheduler.config.prediction_type == "v_prediction":
        velocity: Tensor = scheduler.get_velocity(latents, noise, timesteps)
        return velocity
    return noise


def latent_masks(masks: Tensor, size: tuple[int, ...], grow: int = 0) -> Tensor:
    """Return (B, 1, h, w) in {0, 1}: cells the masks (B, 1, H, W) touch, grown by `grow` cells.

    Max pooling, because nearest or area resizing loses strokes thinner than a cell.
    """
    cells = (F.adaptive_max_pool2d(masks.float(), size) > 0.1).float()
    if grow:
        cells = F.max_pool2d(cells, 2 * grow + 1, stride=1, padding=grow)
    return cells


def cell_weights(masks: Tensor, size: tuple[int, ...], weight: float) -> Tensor:
    """Return (B, 1, h, w): `weight` in the cells that `latent_masks` gives, 1 elsewhere."""
    return 1 + (weight - 1) * latent_masks(masks, size)


def masked_mse(prediction: Tensor, target: Tensor, masks: Tensor, weight: float) -> Tensor:
    """Return the denoising loss (Eq. 3) with cells under the mask counting `weight` times.

    Args:
        prediction: (B, C, h, w).
        target: (B, C, h, w).
        masks: (B, 1, H, W) in [0, 1]; a cell counts as masked if a pixel of it is covered by
            more than a tenth.
        weight: 1 gives the plain mean squared error.
    """
    weights = cell_weights(masks, prediction.shape[-2:], weight)
    errors = (prediction.float() - target.float()).square().mean(1, keepdim=True)
    return (errors * weights).sum() / weights.sum()
