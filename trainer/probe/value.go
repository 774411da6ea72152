package probe

import (
	"fmt"
	"strings"
)

// binary is a label that is 0 or 1, false or true.
func binary(col any, i int) (bool, error) {
	if b, ok := col.([]bool); ok {
		return b[i], nil
	}
	if s, ok := col.([]string); ok {
		switch strings.ToLower(s[i]) {
		case "0", "false", "no":
			return false, nil
		case "1", "true", "yes":
			return true, nil
		}
		return false, fmt.Errorf("%w: %.40q is neither 0 nor 1", ErrLabel, s[i])
	}
	switch v := floatOf(col, i); v {
	case 0, 1:
		return v == 1, nil
	default:
		return false, fmt.Errorf("%w: %v is neither 0 nor 1", ErrLabel, v)
	}
}

func floatOf(col any, i int) float64 {
	switch c := col.(type) {
	case []int64:
		return float64(c[i])
	case []int32:
		return float64(c[i])
	case []float32:
		return float64(c[i])
	case []float64:
		return c[i]
	}
	return 0
}

func textOf(col any, i int) string {
	switch c := col.(type) {
	case []string:
		return c[i]
	case []bool:
		return fmt.Sprint(c[i])
	case []int64:
		return fmt.Sprint(c[i])
	}
	return fmt.Sprint(floatOf(col, i))
}
