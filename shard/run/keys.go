package run

import (
	"fmt"
	"strings"
	"time"
)

// The keys of a run.
const (
	KeyPlan     = "plan.json"
	KeyManifest = "manifest.json"
)

const (
	actsPrefix     = "acts/unit-"
	divergedPrefix = "diverged/unit-"
	unitSuffix     = ".parquet"
	logSuffix      = ".jsonl"
)

// UnitKey is the key of unit u's shard, "acts/unit-000007.parquet".
func UnitKey(u int) string { return fmt.Sprintf("%s%06d%s", actsPrefix, u, unitSuffix) }

// InputKey is the key of the prompts, "input/rows-<sha>.parquet".
func InputKey(sha string) string { return "input/rows-" + sha + ".parquet" }

// CodesKey is the key of what a coder made of unit u, "codes/<coder>/unit-000007.parquet".
func CodesKey(coder string, u int) string { return fmt.Sprintf("codes/%s/unit-%06d.parquet", coder, u) }

// LogKey is the key of one node's log, "log/<node>-<start>.jsonl", start in UTC to the millisecond.
func LogKey(node string, start time.Time) string {
	return fmt.Sprintf("log/%s-%s.jsonl", node, start.UTC().Format("20060102T150405.000Z"))
}

// DivergedKey is the key of unit u's shard as a node made it that differs from the committed one,
// "diverged/unit-000007-<node>.parquet".
func DivergedKey(u int, node string) string {
	return fmt.Sprintf("%s%06d-%s%s", divergedPrefix, u, node, unitSuffix)
}

// LogPieceKey is the key of piece n of a node's log where objects do not grow, "log/<node>-<start>.007.jsonl".
func LogPieceKey(node string, start time.Time, n int) string {
	return fmt.Sprintf("%s.%03d%s", strings.TrimSuffix(LogKey(node, start), logSuffix), n, logSuffix)
}

// LogOf is the key of the log to which a key belongs that is a whole log's or a piece's; pieces sort in their order.
func LogOf(key string) string {
	stem := strings.TrimSuffix(key, logSuffix)
	if i := strings.LastIndexByte(stem, '.'); i >= 0 && len(stem)-i > 3 && strings.Trim(stem[i+1:], "0123456789") == "" {
		stem = stem[:i]
	}
	return stem + logSuffix
}

// ParseUnitKey is the inverse of UnitKey.
func ParseUnitKey(key string) (u int, ok bool) {
	n, err := fmt.Sscanf(key, actsPrefix+"%06d", &u)
	return u, err == nil && n == 1 && u >= 0 && key == UnitKey(u)
}
