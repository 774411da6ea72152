package tap

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// layerItem is one item of a layer list: a number or a range, where a number may
// be negative and then counts from the end.
var layerItem = regexp.MustCompile(`^(-?[0-9]{1,6})(?:-(-?[0-9]{1,6}))?$`)

// ParseLayers reads a list of layers of a model with n layers: "all", or a comma
// list of numbers ("5"), numbers from the end ("-1" is the last layer) and ranges
// with both ends included ("10-20", "-4--1"). The result is ascending, each layer
// once. A layer the model does not have is an error.
func ParseLayers(s string, n int) ([]int, error) {
	if n < 1 {
		return nil, fmt.Errorf("layers %q: the model has %d layers", s, n)
	}
	if strings.TrimSpace(s) == "all" {
		return span(0, n-1), nil
	}
	var out []int
	for _, item := range strings.Split(s, ",") {
		lo, hi, err := parseRange(strings.TrimSpace(item), n)
		if err != nil {
			return nil, err
		}
		out = append(out, span(lo, hi)...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func parseRange(item string, n int) (lo, hi int, err error) {
	m := layerItem.FindStringSubmatch(item)
	if m == nil {
		return 0, 0, fmt.Errorf("layer %q: want all, a number, a range like 10-20, or -1 for the last", item)
	}
	if lo, err = layerIndex(m[1], n); err != nil {
		return 0, 0, err
	}
	if m[2] == "" {
		return lo, lo, nil
	}
	if hi, err = layerIndex(m[2], n); err != nil {
		return 0, 0, err
	}
	if hi < lo {
		return 0, 0, fmt.Errorf("layers %q: the range runs backwards (%d to %d)", item, lo, hi)
	}
	return lo, hi, nil
}

func layerIndex(s string, n int) (int, error) {
	l, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("layer %q: %w", s, err)
	}
	if strings.HasPrefix(s, "-") {
		l += n
	}
	if s == "-0" || l < 0 || l >= n {
		return 0, fmt.Errorf("layer %s: the model has layers 0 to %d (or -1 to -%d from the end)", s, n-1, n)
	}
	return l, nil
}

// FormatLayers writes ascending layers as ParseLayers reads them: "0-2,5".
func FormatLayers(layers []int) string {
	var items []string
	for from := 0; from < len(layers); {
		to := from
		for to+1 < len(layers) && layers[to+1] == layers[to]+1 {
			to++
		}
		item := strconv.Itoa(layers[from])
		if to > from {
			item += "-" + strconv.Itoa(layers[to])
		}
		items, from = append(items, item), to+1
	}
	return strings.Join(items, ",")
}

// LayersText is FormatLayers with the noun before it: "layer 3", "layers 0-2,5".
func LayersText(layers []int) string {
	if len(layers) == 1 {
		return "layer " + FormatLayers(layers)
	}
	return "layers " + FormatLayers(layers)
}

func span(lo, hi int) []int {
	out := make([]int, 0, hi-lo+1)
	for i := lo; i <= hi; i++ {
		out = append(out, i)
	}
	return out
}
