package analysis

import (
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/duckdb/duckdb-go/v2"
)

// floatWriter chooses one number of decimals for a column, so that points stand
// below each other: six significant digits for the largest value. Where that
// would hide small values, each gets five significant digits of its own.
func floatWriter(values []float64) func(float64) string {
	largest, smallest := 0.0, math.Inf(1)
	for _, v := range values {
		if a := math.Abs(v); a > 0 && !math.IsInf(a, 0) {
			largest, smallest = math.Max(largest, a), math.Min(smallest, a)
		}
	}
	decimals := 0
	if largest > 0 {
		decimals = min(max(5-int(math.Floor(math.Log10(largest))), 0), 6)
	}
	if largest >= 1e12 || smallest < 100*math.Pow(10, float64(-decimals)) && smallest < largest/1e3 || largest > 0 && largest < 1e-4 {
		return func(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }
	}
	return func(v float64) string { return strconv.FormatFloat(v, 'f', needed(values, decimals), 64) }
}

// needed is the number of decimals, at most most, after which only zeros follow.
func needed(values []float64, most int) int {
	n := 0
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		s := strings.TrimRight(strconv.FormatFloat(v, 'f', most, 64), "0")
		if at := strings.IndexByte(s, '.'); at >= 0 {
			n = max(n, len(s)-at-1)
		}
	}
	return n
}

// listShown is how many values of a list a cell of a table shows.
const listShown = 4

// brief writes a value for a cell of a table.
func brief(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case float32:
		return strconv.FormatFloat(float64(x), 'g', 5, 32)
	case float64:
		return strconv.FormatFloat(x, 'g', 5, 64)
	case []any:
		return briefList(x)
	case string:
		return printable(x)
	case time.Time:
		if x = x.UTC(); x.Equal(x.Truncate(24 * time.Hour)) {
			return x.Format(time.DateOnly)
		}
		return x.UTC().Format(time.DateTime)
	}
	return printable(exact(v))
}

func briefList(list []any) string {
	var parts []string
	for _, v := range list[:min(len(list), listShown)] {
		parts = append(parts, brief(v))
	}
	if len(list) > listShown {
		parts = append(parts, fmt.Sprintf("… %d values", len(list)))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// printable keeps a cell on its line and the terminal safe from what texts hold.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return '⏎'
		case !unicode.IsGraphic(r):
			return '·'
		}
		return r
	}, s)
}

// exact writes a value for CSV: nothing lost, nothing for NULL.
func exact(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case time.Time:
		return x.UTC().Format("2006-01-02T15:04:05.999999Z")
	case float32:
		return strconv.FormatFloat(float64(x), 'g', -1, 32)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case []byte:
		return hex.EncodeToString(x)
	case bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, *big.Int:
		return fmt.Sprint(x)
	}
	data, err := json.Marshal(jsonValue(v))
	if err != nil {
		return fmt.Sprint(v)
	}
	return strings.Trim(string(data), `"`)
}

// jsonValue makes a value of DuckDB one that JSON can hold: NaN and infinity
// become null, decimals numbers, intervals, times and identifiers text.
func jsonValue(v any) any {
	switch x := v.(type) {
	case float32:
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return nil
		}
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil
		}
	case []byte:
		return hex.EncodeToString(x)
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = jsonValue(x[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k := range x {
			out[k] = jsonValue(x[k])
		}
		return out
	case duckdb.Decimal:
		return json.Number(x.String())
	case duckdb.OrderedMap:
		return jsonMap(x)
	case duckdb.Interval:
		return fmt.Sprintf("%d months %d days %s", x.Months, x.Days, time.Duration(x.Micros)*time.Microsecond)
	case *big.Int:
		return x
	case time.Time:
		return exact(x)
	case fmt.Stringer:
		return x.String()
	case driver.Valuer:
		if y, err := x.Value(); err == nil {
			return fmt.Sprint(y)
		}
	}
	return v
}

func jsonMap(m duckdb.OrderedMap) any {
	out := map[string]any{}
	keys, values := m.Keys(), m.Values()
	for i := range keys {
		out[exact(keys[i])] = jsonValue(values[i])
	}
	return out
}
