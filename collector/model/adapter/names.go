package adapter

import (
	"slices"
	"strings"

	"actfleet/shard/tap"
)

// Named is the set with the names that a checkpoint of these modules has in memory: without what wrappers and composite
// models put before them, and with the output matrix under the name of its file.
func (set *Set) Named(m tap.Modules) *Set {
	out := *set
	out.Modules, out.Weights = slices.Clone(set.Modules), slices.Clone(set.Weights)
	for i := range out.Modules {
		out.Modules[i].Name = rooted(out.Modules[i].Name, m)
	}
	for i, a := range out.Weights {
		at := strings.LastIndexByte(a.Name, '.')
		out.Weights[i].Name = rooted(a.Name[:max(at, 0)], m) + a.Name[max(at, 0):]
	}
	return &out
}

// rooted is a module's name below the root that its checkpoint has.
func rooted(name string, m tap.Modules) string {
	if name == "lm_head" || name == "embed_out" {
		return m.Head
	}
	stem := strings.TrimSuffix(m.Block, "%d")                                  // model.layers.
	tail := stem[strings.LastIndexByte(strings.TrimSuffix(stem, "."), '.')+1:] // layers.
	if i := strings.Index("."+name, "."+tail); i >= 0 && startsWithDigit(name[i+len(tail):]) {
		return stem + name[i+len(tail):]
	}
	for _, known := range []string{m.Embed, m.Positions, m.EmbedNorm, m.Norm} {
		if end := known[strings.LastIndexByte(known, '.')+1:]; end != "" && (name == end || strings.HasSuffix(name, "."+end)) {
			return known
		}
	}
	return name
}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
