package adapter

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// config is what decides mathematics in an adapter_config.json; docs/adapters.md lists the keys.
type config struct {
	Kind    Kind            `json:"peft_type"`
	Base    string          `json:"base_model_name_or_path"`
	Targets json.RawMessage `json:"target_modules"`  // a list of endings, or a regular expression
	Exclude json.RawMessage `json:"exclude_modules"` // the same
	Layers  json.RawMessage `json:"layers_to_transform"`
	Pattern json.RawMessage `json:"layers_pattern"`
	Save    []string        `json:"modules_to_save"`
	Tied    bool            `json:"ensure_weight_tying"`
	Bias    string          `json:"bias"`

	Rank        int                `json:"r"`
	LoRAAlpha   *float64           `json:"lora_alpha"`
	Alpha       *float64           `json:"alpha"` // of LoHa and LoKr
	Ranks       json.RawMessage    `json:"rank_pattern"`
	Alphas      map[string]float64 `json:"alpha_pattern"`
	RsLoRA      bool               `json:"use_rslora"`
	DoRA        bool               `json:"use_dora"`
	LoRABias    bool               `json:"lora_bias"`
	InitialRank int                `json:"init_r"` // of AdaLoRA
	Init        json.RawMessage    `json:"init_lora_weights"`

	Feedforward json.RawMessage `json:"feedforward_modules"` // of IA3

	Constrained bool    `json:"coft"`
	Eps         float64 `json:"eps"`
	Neumann     *bool   `json:"use_cayley_neumann"`
	Terms       *int    `json:"num_cayley_neumann_terms"`

	SaveProjection *bool `json:"save_projection"` // of VeRA
}

// harmless are keys of real saves that change nothing of a finished adapter's mathematics, whatever they hold: about
// training, initialisation, the program that wrote them, and sizes that the arrays have themselves.
var harmless = strings.Fields(`auto_mapping inference_mode peft_version revision task_type megatron_core lora_dropout module_dropout rank_dropout
	rank_dropout_scale vera_dropout qalora_group_size fan_in_fan_out init_weights init_ia3_weights d_initial projection_prng_key
	beta1 beta2 deltaT orth_reg_weight target_r tfinal tinit total_step eva_config loftq_config corda_config lora_ga_config
	decompose_both decompose_factor use_effective_conv2d oft_block_size block_share runtime_config unsloth_version unsloth_fixed`)

// baseChanging are values of init_lora_weights with which PEFT also changes the base's weights when it loads.
var baseChanging = []string{"pissa", "olora", "corda", "loftq", "lora_ga"}

// parseConfig reads an adapter_config.json. A key that is not understood must be null, false or empty.
func parseConfig(text []byte) (c config, err error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return c, fmt.Errorf("%w: adapter_config.json: %w", ErrCorrupt, err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("%w: adapter_config.json: %w", ErrCorrupt, err)
	}
	if _, ok := forms[c.Kind]; !ok {
		return c, fmt.Errorf("%w: peft_type %q (known: %s, and %s of this program)", ErrUnsupported, c.Kind, kinds(), ownKind)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(understood, key) && !slices.Contains(harmless, key) && !idle(keys[key]) {
			return c, fmt.Errorf("%w: adapter_config.json: %s is %.60s, and is not understood", ErrUnsupported, key, strings.Join(strings.Fields(string(keys[key])), " "))
		}
	}
	return c, c.check()
}

// understood are the keys of config.
var understood = tags(config{})

// idle says whether a value asks for nothing.
func idle(v json.RawMessage) bool {
	return slices.Contains([]string{"null", "false", "{}", "[]", `""`}, strings.TrimSpace(string(v)))
}

func kinds() string {
	var names []string
	for k := range forms {
		names = append(names, string(k))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (c config) check() error {
	var how string
	if json.Unmarshal(c.Init, &how) == nil && slices.ContainsFunc(baseChanging, func(p string) bool { return strings.HasPrefix(how, p) }) {
		return fmt.Errorf("%w: init_lora_weights %q changes the base too: save the adapter as a plain LoRA (peft: path_initial_model_for_weight_conversion)",
			ErrUnsupported, how)
	}
	switch {
	case c.Kind == OFT && c.Neumann == nil:
		return fmt.Errorf("%w: an OFT without use_cayley_neumann, which says which of two rotations its arrays mean", ErrUnsupported)
	case c.Kind == VeRA && c.SaveProjection != nil && !*c.SaveProjection:
		return fmt.Errorf("%w: save_projection is false: the projections of a VeRA must be in its file", ErrUnsupported)
	case c.Bias != "" && !slices.Contains([]string{"none", "all", "lora_only", "oft_only", "vera_only"}, c.Bias):
		return fmt.Errorf("%w: bias %q", ErrUnsupported, c.Bias)
	}
	return nil
}

// gain is the factor on what a module of so many ranks adds.
func (c config) gain(module string, rank int) (float64, error) {
	alpha := c.Alpha
	if c.Kind == LoRA || c.Kind == AdaLoRA {
		alpha = c.LoRAAlpha
	}
	if c.Kind == AdaLoRA {
		if alpha == nil || c.InitialRank < 1 {
			return 0, fmt.Errorf("%w: adapter_config.json has no lora_alpha or init_r", ErrCorrupt)
		}
		return *alpha / (float64(c.InitialRank) + 1e-5), nil
	}
	if alpha == nil {
		return 0, fmt.Errorf("%w: adapter_config.json has no alpha", ErrCorrupt)
	}
	a := *alpha
	if key, ok, err := patternOf(module, c.Alphas); err != nil || ok {
		if err != nil {
			return 0, err
		}
		a = c.Alphas[key]
	}
	if math.IsNaN(a) || math.IsInf(a, 0) {
		return 0, fmt.Errorf("%w: alpha of %s is %v", ErrCorrupt, module, a)
	}
	if c.RsLoRA {
		return a / math.Sqrt(float64(rank)), nil
	}
	return a / float64(rank), nil
}

// rank is what the config says of a module's.
func (c config) rank(module string) (int, error) {
	ranks := map[string]int{}
	if len(c.Ranks) > 0 && json.Unmarshal(c.Ranks, &ranks) != nil {
		return 0, fmt.Errorf("%w: rank_pattern is %.60s", ErrCorrupt, c.Ranks)
	}
	r := c.Rank
	key, ok, err := patternOf(module, ranks)
	if ok {
		r = ranks[key]
	}
	if err == nil && r < 1 {
		err = fmt.Errorf("%w: the rank of %s is %d", ErrCorrupt, module, r)
	}
	return r, err
}

// pruned says whether an AdaLoRA has no rank left in a module.
func (c config) pruned(module string) bool {
	var masks map[string][]bool
	if c.Kind != AdaLoRA || json.Unmarshal(c.Ranks, &masks) != nil {
		return false
	}
	mask, ok := masks[module+".lora_E"]
	return ok && !slices.Contains(mask, true)
}

// patternOf is the key of patterns that fits a module, as PEFT looks it up: at the end of the name, behind a dot.
func patternOf[V any](module string, patterns map[string]V) (key string, ok bool, err error) {
	for _, key := range slices.Sorted(maps.Keys(patterns)) {
		re, err := regexp.Compile(`^(?:.*\.)?(?:` + key + `)$`)
		if err != nil {
			return "", false, fmt.Errorf("%w: the pattern %.80q is not one that Go reads: %w", ErrUnsupported, key, err)
		}
		if re.MatchString(module) {
			return key, true, nil
		}
	}
	return "", false, nil
}
