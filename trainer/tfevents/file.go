package tfevents

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"actfleet/internal/smallfile"
)

// Prefix begins the name of every event file: TensorBoard looks for it.
const Prefix = "events.out.tfevents."

const version = "brain.Event:2"

// Writer appends events to a file of its own in a folder.
type Writer struct{ path string }

// Create begins a file in a folder, whose events follow on those of step before. Its name
// sorts after those of the files there, as TensorBoard reads them in that order.
func Create(dir string, now time.Time, host string, before int) (*Writer, error) {
	there, err := Files(dir)
	if err != nil {
		return nil, err
	}
	second := now.Unix()
	for _, path := range there {
		var other int64
		if n, _ := fmt.Sscanf(filepath.Base(path), Prefix+"%d", &other); n == 1 {
			second = max(second, other+1)
		}
	}
	w := &Writer{path: filepath.Join(dir, fmt.Sprintf("%s%010d.%s", Prefix, second, strings.ReplaceAll(host, "/", "_")))}
	return w, w.Append(Event{Time: now, Version: version}, Event{Time: now, Step: int64(before) + 1, Start: true})
}

// Append adds events in one write.
func (w *Writer) Append(events ...Event) error {
	var text []byte
	for _, e := range events {
		text = appendRecord(text, e.encode())
	}
	f, err := os.OpenFile(w.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// Files are the event files of a folder in the order TensorBoard reads them.
func Files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	var out []string
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), Prefix) {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, nil
}

// maxFile bounds an event file that is read.
const maxFile = 1 << 30

// Read reads a file up to its end or to a record that is cut short, as the last one of a
// process that was killed.
func Read(path string) (events []Event, err error) {
	_, err = scan(path, func(e Event) bool {
		events = append(events, e)
		return true
	})
	return events, err
}

// scan gives events to keep until it returns false, and returns the bytes of the kept.
func scan(path string, keep func(Event) bool) (kept int64, err error) {
	text, err := smallfile.Read(path, maxFile)
	if err != nil {
		return 0, fmt.Errorf("events: %w", err)
	}
	for rest := text; ; kept = int64(len(text) - len(rest)) {
		var data []byte
		var ok bool
		if data, rest, ok = nextRecord(rest); !ok {
			return kept, nil
		}
		e, err := decode(data)
		if err != nil {
			return kept, fmt.Errorf("%s: %w", path, err)
		}
		if kept == 0 && !strings.HasPrefix(e.Version, "brain.Event:") {
			return 0, fmt.Errorf("%s: %w: it does not begin with a version", path, ErrCorrupt)
		}
		if !keep(e) {
			return kept, nil
		}
	}
}

// Cut shortens each event file of a folder to what comes before the first event with
// values that unwanted tells, and removes those that hold no values then.
func Cut(dir string, unwanted func(Event) bool) error {
	paths, err := Files(dir)
	var errs []error
	for _, path := range paths {
		values := 0
		size, err := scan(path, func(e Event) bool {
			if len(e.Values) > 0 && unwanted(e) {
				return false
			}
			values += len(e.Values)
			return true
		})
		switch {
		case errors.Is(err, ErrCorrupt): // not ours to change
		case err != nil:
			errs = append(errs, err)
		case values == 0:
			errs = append(errs, os.Remove(path))
		default:
			errs = append(errs, os.Truncate(path, size))
		}
	}
	return errors.Join(append(errs, err)...)
}

func floats(b []byte) (out []float64) {
	for ; len(b) >= 8; b = b[8:] {
		out = append(out, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	return out
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of a record.
func masked(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// appendRecord adds a record with data to dst.
func appendRecord(dst, data []byte) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(len(data)))
	dst = binary.LittleEndian.AppendUint32(dst, masked(dst[at:]))
	dst = append(dst, data...)
	return binary.LittleEndian.AppendUint32(dst, masked(data))
}

const (
	headSize = 8 + 4
	tailSize = 4
)

// nextRecord splits the first record from a file's text. It reports false where there is no
// whole and sound one.
func nextRecord(text []byte) (data, rest []byte, ok bool) {
	if len(text) < headSize || binary.LittleEndian.Uint32(text[8:]) != masked(text[:8]) {
		return nil, text, false
	}
	n := binary.LittleEndian.Uint64(text)
	if n > uint64(len(text)) || uint64(len(text)) < headSize+n+tailSize {
		return nil, text, false
	}
	data = text[headSize : headSize+n]
	rest = text[headSize+n:]
	if binary.LittleEndian.Uint32(rest) != masked(data) {
		return nil, text, false
	}
	return data, rest[tailSize:], true
}

// decode reads an event, without what this package does not write.
func decode(b []byte) (e Event, err error) {
	err = fields(b, func(f field) error {
		switch f.number {
		case eventTime:
			e.Time = time.UnixMicro(int64(math.Round(math.Float64frombits(f.bits) * 1e6)))
		case eventStep:
			e.Step = int64(f.bits)
		case eventVersion:
			e.Version = string(f.bytes)
		case eventSession:
			return fields(f.bytes, func(f field) error {
				e.Start = e.Start || f.number == sessionStatus && f.bits == sessionStart
				return nil
			})
		case eventSummary:
			return fields(f.bytes, func(f field) error {
				if f.number != summaryValue {
					return nil
				}
				v, err := decodeValue(f.bytes)
				e.Values = append(e.Values, v)
				return err
			})
		}
		return nil
	})
	return e, err
}

func decodeValue(b []byte) (v Value, err error) {
	err = fields(b, func(f field) (err error) {
		switch f.number {
		case valueTag:
			v.Tag = string(f.bytes)
		case valueScalar:
			v.Scalar = math.Float32frombits(uint32(f.bits))
		case valueHistogram:
			v.Histogram, err = decodeHistogram(f.bytes)
		}
		return err
	})
	return v, err
}

func decodeHistogram(b []byte) (*Histogram, error) {
	h := &Histogram{}
	single := map[int]*float64{histMin: &h.Min, histMax: &h.Max, histNum: &h.Num, histSum: &h.Sum, histSquares: &h.SumSquares}
	err := fields(b, func(f field) error {
		if to, ok := single[int(f.number)]; ok {
			*to = math.Float64frombits(f.bits)
		}
		switch f.number {
		case histLimit:
			h.Limit = floats(f.bytes)
		case histCount:
			h.Count = floats(f.bytes)
		}
		return nil
	})
	return h, err
}
