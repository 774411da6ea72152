// Package nearest finds the name that was meant by one that does not exist.
package nearest

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// Name returns the name that differs from what was typed in the fewest letters, or "" when none is near: more than
// about a third of the letters differ (two exchanged letters are two). Case does not count. Of equally near names it is
// the first.
func Name(typed string, names []string) string {
	best, least := "", (len([]rune(typed))+1)/3+1
	for _, name := range names {
		if d := levenshtein.ComputeDistance(strings.ToLower(typed), strings.ToLower(name)); d < least {
			best, least = name, d
		}
	}
	return best
}
