package arch

// gemma2Config is config.json of Hugging Face's Gemma2ForCausalLM.
type gemma2Config struct {
	gemmaConfig
	windowConfig
	Act         string   `json:"hidden_activation"`
	QueryScalar float64  `json:"query_pre_attn_scalar"`
	ScoreCap    *float64 `json:"attn_logit_softcapping"`  // null: none
	LogitCap    *float64 `json:"final_logit_softcapping"` // null: none
}

// designGemma2 has norms on both sides of attention and MLP, windows in every other block beginning with
// the first, and two softcaps. Only hidden_activation is read, not hidden_act.
func designGemma2(text Config, _ func(string) bool) (design, error) {
	window, scoreCap, logitCap := 4096, 50.0, 30.0
	c := gemma2Config{gemmaConfig: gemmaDefaults(2304, 9216, 26, 8, 4, 256000, 8192), windowConfig: windowConfig{Window: &window},
		Act: "gelu_pytorch_tanh", QueryScalar: 256, ScoreCap: &scoreCap, LogitCap: &logitCap}
	if err := parse(text, &c, "hidden_act"); err != nil {
		return design{}, err
	}
	d, err := c.design(c.Act, 10000)
	if err != nil {
		return d, err
	}
	if err := c.windows(&d, func(i int) bool { return i%2 == 0 }); err != nil {
		return d, err
	}
	bend, err := softcap("attn_logit_softcapping", c.ScoreCap)
	if err != nil {
		return d, err
	}
	for i := range d.layers {
		d.layers[i].attention.scores.Cap = bend
	}
	if d.logitCap, err = softcap("final_logit_softcapping", c.LogitCap); err != nil {
		return d, err
	}
	return d, queryScale(&d, c.QueryScalar)
}
