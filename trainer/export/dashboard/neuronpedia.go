package dashboard

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"actfleet/trainer/folder"
	"actfleet/trainer/sae"
)

// About is what the folder says of where latents come from.
type About struct {
	Model   string // as Neuronpedia calls it, such as gemma-2-2b
	Layer   int
	Name    string // of the set of autoencoders, one for each layer
	Hook    string // of TransformerLens, "" if it has none
	Data    string
	Context int // tokens of a prompt at most
	Now     time.Time
}

const (
	batchLatents = 512 // of one file
	// creator is the account that Neuronpedia's own tools upload under where none is named.
	creator = "clkht01d40000jv08hvalcvly"
)

type object = map[string]any

func (a About) source() string { return fmt.Sprintf("%d-%s", a.Layer, a.Name) }

// Write makes the folder dir.
func Write(dir string, s *Set, m *sae.Model, a About) error {
	for _, name := range []string{a.Model, a.source()} {
		if !filepath.IsLocal(name) || filepath.Base(name) != name || name == "." {
			return fmt.Errorf("export neuronpedia: %q is no name of a folder", name)
		}
	}
	err := folder.Make(dir, func(temp string) error {
		at := filepath.Join(temp, a.Model, a.source())
		for _, sub := range []string{"features", "activations"} {
			if err := os.MkdirAll(filepath.Join(at, sub), 0o755); err != nil {
				return err
			}
		}
		if err := a.heads(at, s); err != nil {
			return err
		}
		for from, n := 0, 0; from < len(s.Latents); from, n = from+batchLatents, n+1 {
			if err := a.batch(at, n, s, m, from, min(from+batchLatents, len(s.Latents))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("export neuronpedia: %w", err)
	}
	return nil
}

// heads writes the four files that say whose the latents are.
func (a About) heads(dir string, s *Set) error {
	for file, o := range map[string]object{
		"release.jsonl": {"name": a.Name, "description": a.Name, "descriptionShort": a.Name, "urls": []string{}, "creatorName": "",
			"creatorNameShort": "", "visibility": "PUBLIC", "isNewUi": false, "featured": false, "defaultUmapSourceIds": []string{}},
		"model.jsonl": {"id": a.Model, "instruct": false, "displayNameShort": a.Model, "displayName": a.Model, "visibility": "PUBLIC",
			"inferenceEnabled": false, "layers": 0, "neuronsPerLayer": 0, "owner": "", "updatedAt": a.Now},
		"sourceset.jsonl": {"modelId": a.Model, "name": a.Name, "hasDashboards": true, "visibility": "PUBLIC", "description": a.Name, "type": "",
			"creatorName": "", "urls": []string{}, "releaseName": a.Name, "defaultRange": 1, "defaultShowBreaks": true, "showDfa": false,
			"showCorrelated": false, "showHeadAttribution": false, "showUmap": false},
		"source.jsonl": {"id": a.source(), "modelId": a.Model, "setName": a.Name, "hasDashboards": true, "inferenceEnabled": false,
			"inferenceHosts": []string{}, "visibility": "PUBLIC", "hasUmap": false, "hasUmapLogSparsity": false, "hasUmapClusters": false,
			"num_prompts": s.Prompts, "num_tokens_in_prompt": a.Context, "dataset": a.Data},
	} {
		o["creatorId"], o["createdAt"] = creator, a.Now
		text, err := json.Marshal(o)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// batch writes the latents [from, to) with their examples.
func (a About) batch(dir string, n int, s *Set, m *sae.Model, from, to int) error {
	var features, activations []object
	for i := from; i < to; i++ {
		features = append(features, a.feature(i, s, m))
		for rank, e := range s.Latents[i].Examples {
			activations = append(activations, a.activation(i, rank, e))
		}
	}
	name := fmt.Sprintf("batch-%d.jsonl.gz", n)
	return errors.Join(lines(filepath.Join(dir, "features", name), features), lines(filepath.Join(dir, "activations", name), activations))
}

// unknown are the lists of a feature that need the model's head or its neurons.
var unknown = []string{"topkCosSimIndices", "topkCosSimValues", "neuron_alignment_indices", "neuron_alignment_values", "neuron_alignment_l1",
	"correlated_neurons_indices", "correlated_neurons_pearson", "correlated_neurons_l1", "correlated_features_indices",
	"correlated_features_pearson", "correlated_features_l1", "neg_str", "neg_values", "pos_str", "pos_values",
	"freq_hist_data_bar_heights", "freq_hist_data_bar_values", "logits_hist_data_bar_heights", "logits_hist_data_bar_values",
	"decoder_weights_dist"}

func (a About) feature(i int, s *Set, m *sae.Model) object {
	l, d, most := s.Latents[i], m.Outputs(), float32(0)
	if len(l.Examples) > 0 {
		most = l.Examples[0].Max
	}
	o := object{"modelId": a.Model, "layer": a.source(), "index": fmt.Sprint(i), "creatorId": creator, "createdAt": a.Now, "maxActApprox": most,
		"hasVector": a.Hook != "", "vector": []float32{}, "vectorLabel": nil, "vectorDefaultSteerStrength": most, "hookName": nil,
		"frac_nonzero": float64(l.Fires) / float64(max(s.Rows, 1)), "sourceSetName": a.Name}
	if a.Hook != "" {
		o["vector"], o["hookName"] = m.WDec[i*d:(i+1)*d], a.Hook
	}
	for _, key := range unknown {
		o[key] = []int{}
	}
	return o
}

func (a About) activation(i, rank int, e Example) object {
	values := make([]float32, len(e.Tokens))
	for j, at := range e.At {
		values[at] = e.Values[j]
	}
	at := slices.Index(values, e.Max)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d/%d", a.Model, a.source(), i, rank))
	return object{"id": "c" + hex.EncodeToString(sum[:12]), "tokens": e.Tokens, "index": fmt.Sprint(i), "layer": a.source(), "modelId": a.Model,
		"maxValue": e.Max, "maxValueTokenIndex": at, "minValue": slices.Min(values), "values": values, "creatorId": creator, "createdAt": a.Now,
		"dfaValues": []float32{}, "dfaTargetIndex": nil, "dfaMaxValue": nil, "lossValues": []float32{}, "logitContributions": nil,
		"binMin": nil, "binMax": nil, "binContains": nil, "qualifyingTokenIndex": at, "dataIndex": nil, "dataSource": nil}
}

// lines writes objects, one a line, packed.
func lines(path string, list []object) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z := gzip.NewWriter(f)
	enc := json.NewEncoder(z)
	enc.SetEscapeHTML(false)
	for _, o := range list {
		if err := enc.Encode(o); err != nil {
			return err
		}
	}
	return errors.Join(z.Close(), f.Sync())
}
