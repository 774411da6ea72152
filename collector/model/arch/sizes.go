package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// checkSizes refuses sizes that no network has, before anything is allocated by them.
func checkSizes(sizes map[string]int) error {
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		limit := 1 << 24
		if strings.HasSuffix(name, "layers") || strings.HasSuffix(name, "layer") {
			limit = 1 << 12
		}
		if v := sizes[name]; v < 1 || v > limit {
			return fmt.Errorf("%w: config.json: %s is %d", ErrUnsupported, name, v)
		}
	}
	return nil
}

// checkHeads refuses heads that do not divide the hidden size, and key heads that do not divide the heads; key
// names are the family's own, for hidden size, heads and key heads in this order.
func checkHeads(key [3]string, hidden, heads, kv int) error {
	switch {
	case hidden%heads != 0:
		return fmt.Errorf("%w: config.json: %s %d is not a multiple of %s %d", ErrUnsupported, key[0], hidden, key[1], heads)
	case heads%kv != 0:
		return fmt.Errorf("%w: config.json: %s %d is not a multiple of %s %d", ErrUnsupported, key[1], heads, key[2], kv)
	}
	return nil
}

// ratio is hidden/heads, and 0 without heads.
func ratio(hidden, heads int) int {
	if heads == 0 {
		return 0
	}
	return hidden / heads
}
