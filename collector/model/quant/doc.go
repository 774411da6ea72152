// Package quant presents a quantised safetensors checkpoint as dequantised weights.
//
// A method is quant_method of the quantization_config in config.json: fp8 (blocks of eight-bit floats, DeepSeek's and
// Qwen's), bitsandbytes (int8 with a scale for each row; nf4 and fp4 with a scale for each block, nested or not),
// gptq (two, four or eight bits in groups of inputs), awq (four bits, gemm's order) and mxfp4 (four-bit floats with a
// power of two for each 32, gpt-oss's).
//
// Guaranteed: what an activation is computed from equals what the method's own library dequantises to: fp8 and int8 as
// 32-bit floats, nf4 and fp4 rounded once to the type the file names, gptq and awq to the type of their scales, mxfp4
// without rounding. Every shape and index is checked before it is used; a key of the configuration, or a tensor, that
// is not understood fails with ErrUnsupported and its name. A Checkpoint is safe for concurrent use as far as its
// Weights are.
// Not guaranteed: what a library does to activations while it computes (int8 outliers, fp8 activations): weights are
// used in full precision here.
//
// Layouts: transformers, integrations/finegrained_fp8.py and mxfp4.py; bitsandbytes, backends/default/ops.py and functional.py
// (QuantState); GPTQModel, nn_modules/qlinear; AutoAWQ, utils/packing_utils.py.
package quant
