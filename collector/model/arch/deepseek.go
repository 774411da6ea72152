package arch

import (
	"fmt"
	"math"
	"strings"

	"actfleet/collector/model/layer"
	"actfleet/shard/tap"
)

// deepseekConfig is what config.json of Hugging Face's DeepseekV2ForCausalLM and DeepseekV3ForCausalLM share.
type deepseekConfig struct {
	Vocab     int     `json:"vocab_size"`
	Hidden    int     `json:"hidden_size"`
	Inner     int     `json:"intermediate_size"`
	Layers    int     `json:"num_hidden_layers"`
	Heads     int     `json:"num_attention_heads"`
	Positions int     `json:"max_position_embeddings"`
	Act       string  `json:"hidden_act"`
	Eps       float64 `json:"rms_norm_eps"`
	Tied      bool    `json:"tie_word_embeddings"`
	AttnBias  bool    `json:"attention_bias"`
	rotaryConfig

	QueryRank *int `json:"q_lora_rank"` // null: queries are made of the states
	Rank      int  `json:"kv_lora_rank"`
	Still     int  `json:"qk_nope_head_dim"`
	Turning   int  `json:"qk_rope_head_dim"`
	Value     int  `json:"v_head_dim"`

	FirstDense  int     `json:"first_k_dense_replace"`
	Every       int     `json:"moe_layer_freq"`
	Experts     int     `json:"n_routed_experts"`
	Shared      int     `json:"n_shared_experts"`
	Chosen      int     `json:"num_experts_per_tok"`
	ExpertInner int     `json:"moe_intermediate_size"`
	Scale       float64 `json:"routed_scaling_factor"`
	Norm        bool    `json:"norm_topk_prob"`
	Groups      *int    `json:"n_group"`
	Allowed     *int    `json:"topk_group"`
	Method      string  `json:"topk_method"`
	Scoring     string  `json:"scoring_func"`
}

// deepseekHarmless concern training, other code, and the heads that predict several tokens.
const deepseekHarmless = mixtureHarmless + " aux_loss_alpha seq_aux ep_size num_nextn_predict_layers num_mtp_layers"

// derived are keys that others decide.
func (c *deepseekConfig) derived() map[string]int {
	return map[string]int{"num_key_value_heads": c.Heads, "head_dim": c.Turning, "qk_head_dim": c.Still + c.Turning}
}

func (c deepseekConfig) check() error {
	err := checkSizes(map[string]int{"vocab_size": c.Vocab, "hidden_size": c.Hidden, "intermediate_size": c.Inner, "num_hidden_layers": c.Layers,
		"num_attention_heads": c.Heads, "max_position_embeddings": c.Positions, "q_lora_rank": or(c.QueryRank, 1), "kv_lora_rank": c.Rank,
		"qk_nope_head_dim": c.Still, "qk_rope_head_dim": c.Turning, "v_head_dim": c.Value, "n_shared_experts": c.Shared})
	if err != nil {
		return err
	}
	if c.Every != 1 || c.FirstDense < 0 || !(c.Scale > 0) {
		return fmt.Errorf("%w: config.json: moe_layer_freq %d, first_k_dense_replace %d or routed_scaling_factor %g", ErrUnsupported, c.Every, c.FirstDense, c.Scale)
	}
	return nil
}

// design is the table but for the routing of tokens to experts; in pairs says how the turning channels lie.
func (c deepseekConfig) design(pairs bool, routing layer.Routing) (d design, err error) {
	if err := c.check(); err != nil {
		return d, err
	}
	width := c.Still + c.Turning
	a := attentionDesign{heads: layer.Heads{Query: c.Heads, KeyValue: c.Heads, Width: width},
		latent: &latentDesign{queryRank: or(c.QueryRank, 0), rank: c.Rank, still: c.Still, turning: c.Turning, value: c.Value, bias: c.AttnBias}}
	if a.scores.Scale, err = c.scale(width); err != nil {
		return d, err
	}
	if a.rotary, err = c.rotary(ropeDefaults{theta: 10000, partial: 1, width: c.Turning, positions: c.Positions, adjacent: pairs}); err != nil {
		return d, err
	}
	b := blockDesign{attention: a, mlp: mlpDesign{inner: c.Inner}}
	if b.mlp.act, err = activation(c.Act); err != nil {
		return d, err
	}
	d = design{shape: Shape{Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: c.reach(c.Positions)},
		norm: normKind{rms: true, eps: c.Eps}, tied: c.Tied, layers: uniform(c.Layers, b)}
	if d.names, _ = tap.ModulesOf("deepseek_v3"); c.QueryRank == nil {
		d.names.Latent.QueryDown, d.names.Latent.QueryUp = "", ""
	}
	e := expertsDesign{count: c.Experts, inner: c.ExpertInner, shared: c.Shared * c.ExpertInner, correction: routing.Sigmoid, routing: routing}
	return d, d.mixture(e, func(i int) bool { return i >= c.FirstDense }, "n_routed_experts")
}

// scale is the factor on the scores: a stretched context makes them larger.
func (c deepseekConfig) scale(width int) (float64, error) {
	p, err := c.parameters()
	scale := 1 / math.Sqrt(float64(width))
	if all := or(p.MscaleAll, 0); err == nil && p.kind() != "default" && all != 0 {
		gain := layer.YarnGain(or(p.Factor, 1), all)
		scale *= gain * gain
	}
	return scale, err
}

// designDeepseekV2 chooses experts by softmax, from the groups whose best expert is best.
func designDeepseekV2(text Config, _ func(string) bool) (design, error) {
	rank := 1536
	c := deepseekConfig{Vocab: 102400, Hidden: 4096, Inner: 11008, Layers: 32, Heads: 32, Positions: 2048, Act: "silu", Eps: 1e-6, QueryRank: &rank,
		Rank: 512, Still: 128, Turning: 64, Value: 128, Every: 1, Experts: 64, Shared: 2, ExpertInner: 1407, Scale: 1, Method: "greedy", Scoring: "softmax"}
	if err := parse(text, &c, deepseekHarmless); err != nil {
		return design{}, err
	}
	routing := layer.Routing{Chosen: c.Chosen, Scale: c.Scale}
	switch {
	case c.Scoring != "softmax" || c.Norm:
		return design{}, fmt.Errorf("%w: config.json: scoring_func %q, norm_topk_prob %t: transformers does not read them in a deepseek_v2, and takes softmax without a norm",
			ErrUnsupported, c.Scoring, c.Norm)
	case c.Method == "group_limited_greedy":
		routing.Groups, routing.Allowed, routing.Best = max(or(c.Groups, 0), 1), or(c.Allowed, 0), 1
	case c.Method != "greedy":
		return design{}, fmt.Errorf("%w: config.json: topk_method %q", ErrUnsupported, c.Method)
	}
	return c.design(true, routing)
}

// designDeepseekV3 chooses experts by sigmoid and a correction, from the groups whose best two are best.
func designDeepseekV3(text Config, _ func(string) bool) (design, error) {
	rank, groups, allowed := 1536, 8, 4
	var c struct {
		deepseekConfig
		Pairs *bool `json:"rope_interleave"`
	}
	c.deepseekConfig = deepseekConfig{Vocab: 129280, Hidden: 7168, Inner: 18432, Layers: 61, Heads: 128, Positions: 4096, Act: "silu", Eps: 1e-6, QueryRank: &rank,
		Rank: 512, Still: 128, Turning: 64, Value: 128, FirstDense: 3, Every: 1, Experts: 256, Shared: 1, Chosen: 8, ExpertInner: 2048, Scale: 2.5, Norm: true,
		Groups: &groups, Allowed: &allowed, Method: "noaux_tc", Scoring: "sigmoid"}
	if err := parse(text, &c, deepseekHarmless); err != nil {
		return design{}, err
	}
	if c.Method != "noaux_tc" || c.Scoring != "sigmoid" {
		return design{}, fmt.Errorf("%w: config.json: topk_method %q with scoring_func %q in a deepseek_v3", ErrUnsupported, c.Method, c.Scoring)
	}
	return c.design(or(c.Pairs, true), layer.Routing{Chosen: c.Chosen, Sigmoid: true, Norm: c.Norm, Scale: c.Scale,
		Groups: max(or(c.Groups, 0), 1), Allowed: or(c.Allowed, 0), Best: 2})
}

// deepseekBuffer says which tensors of a file no layer reads: DeepSeek-V3's block 61 predicts the token after the next.
func deepseekBuffer(name string) bool {
	return oldRotary(name) || strings.HasPrefix(name, "model.layers.61.")
}
