package arch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"actfleet/collector/model/layer"
	"actfleet/shard/tap"
)

// headName is the name of an output matrix's weight or bias, whatever stands before it.
var headName = regexp.MustCompile(`^(.*\.)?((?:lm_head|embed_out)\.(?:weight|bias))$`)

// Names says under which name each tensor of a checkpoint is asked for. Files have the names of the class that wrote
// them: without the root (AutoModel's), with it twice or behind a wrapper's (base_model.model.), and in a checkpoint
// of several models behind the part's (model.language_model.). The root is found by the embedding, of which there is
// one. With inside set, tensors that lie outside of the root belong to other models and are left out.
func Names(modelType string, tensors []string, inside bool) (map[string]string, error) {
	out := make(map[string]string, len(tensors))
	for _, name := range tensors {
		if strings.Contains(name, ".lora_A.") || strings.Contains(name, ".lora_B.") {
			return nil, fmt.Errorf("%w: %s is an adapter's weight: merge the adapter into the model (peft: merge_and_unload) and save that",
				ErrUnsupported, name)
		}
		out[name] = name
	}
	root, embed := embedding(modelType)
	prefix, err := prefixOf(tensors, root, embed)
	if err != nil || prefix == root && !inside || embed == "" {
		return out, err
	}
	for _, name := range tensors {
		rest, under := strings.CutPrefix(name, prefix)
		switch head := headName.FindStringSubmatch(name); {
		case head != nil && strings.HasPrefix(prefix, head[1]):
			out[name] = head[2]
		case under:
			out[name] = root + rest
		case inside:
			delete(out, name)
		}
	}
	return out, unique(out)
}

// embedding cuts the name of a family's embedding into the root, with which the names of all weights but the head's
// begin, and the rest; both are empty where names are taken as they are.
func embedding(modelType string) (root, rest string) {
	if strings.HasPrefix(modelType, "phi-") || strings.HasPrefix(modelType, "mixformer") {
		return "", ""
	}
	m, _ := tap.ModulesOf(modelType)
	root, rest, _ = strings.Cut(m.Embed, ".")
	return root + ".", rest + ".weight"
}

// prefixOf is what stands in the root's place: what the embedding's name begins with.
func prefixOf(tensors []string, root, embed string) (string, error) {
	if embed == "" {
		return "", nil
	}
	var found []string
	for _, name := range tensors {
		if before, ok := strings.CutSuffix(name, embed); ok && (before == "" || strings.HasSuffix(before, ".")) {
			found = append(found, before)
		}
	}
	switch {
	case len(found) == 0 || slices.Contains(found, root):
		return root, nil
	case len(found) > 1:
		return "", fmt.Errorf("%w: %d weights look like the embedding, among them %s%s and %s%s",
			layer.ErrMismatch, len(found), found[0], embed, found[1], embed)
	}
	return found[0], nil
}

func unique(names map[string]string) error {
	from := map[string]string{}
	for name, to := range names {
		if other, twice := from[to]; twice {
			return fmt.Errorf("%w: weights %s and %s both stand for %s", layer.ErrMismatch, min(name, other), max(name, other), to)
		}
		from[to] = name
	}
	return nil
}
