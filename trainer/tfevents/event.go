package tfevents

import (
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrCorrupt says that a file is not an event file, or is damaged.
var ErrCorrupt = errors.New("not an event file")

// Event is what was measured after a step.
type Event struct {
	Time    time.Time
	Step    int64
	Version string // of the file; in its first event alone
	Start   bool   // a training begins: what was seen of this step and later ones is no longer so
	Values  []Value
}

// Value is a scalar, or a histogram where there is one.
type Value struct {
	Tag       string
	Scalar    float32
	Histogram *Histogram
}

// Histogram counts numbers in bins.
type Histogram struct {
	Min, Max, Num, Sum, SumSquares float64
	Limit                          []float64 // upper ends of the bins, ascending
	Count                          []float64 // of numbers in each bin
}

// Field numbers.
const (
	eventTime, eventStep, eventVersion, eventSummary, eventSession = 1, 2, 3, 5, 7

	sessionStatus, sessionStart = 1, 1 // SessionLog.status, SessionLog.START

	summaryValue = 1

	valueTag, valueScalar, valueHistogram = 1, 2, 5

	histMin, histMax, histNum, histSum, histSquares, histLimit, histCount = 1, 2, 3, 4, 5, 6, 7
)

// encode is the event as a protocol buffer.
func (e Event) encode() []byte {
	var b []byte
	if seconds := float64(e.Time.UnixMicro()) / 1e6; seconds != 0 {
		b = double(b, eventTime, seconds)
	}
	if e.Step != 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, eventStep, protowire.VarintType), uint64(e.Step))
	}
	switch {
	case e.Version != "":
		b = protowire.AppendString(protowire.AppendTag(b, eventVersion, protowire.BytesType), e.Version)
	case e.Start:
		log := protowire.AppendVarint(protowire.AppendTag(nil, sessionStatus, protowire.VarintType), sessionStart)
		b = message(b, eventSession, log)
	case len(e.Values) > 0:
		var summary []byte
		for _, v := range e.Values {
			summary = message(summary, summaryValue, v.encode())
		}
		b = message(b, eventSummary, summary)
	}
	return b
}

func (v Value) encode() []byte {
	b := protowire.AppendString(protowire.AppendTag(nil, valueTag, protowire.BytesType), v.Tag)
	if v.Histogram != nil {
		return message(b, valueHistogram, v.Histogram.encode())
	}
	return protowire.AppendFixed32(protowire.AppendTag(b, valueScalar, protowire.Fixed32Type), math.Float32bits(v.Scalar))
}

func (h *Histogram) encode() (b []byte) {
	for i, v := range []float64{h.Min, h.Max, h.Num, h.Sum, h.SumSquares} {
		b = double(b, protowire.Number(histMin+i), v)
	}
	return message(message(b, histLimit, doubles(h.Limit)), histCount, doubles(h.Count))
}

func double(b []byte, field protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), math.Float64bits(v))
}

func doubles(values []float64) (b []byte) {
	for _, v := range values {
		b = protowire.AppendFixed64(b, math.Float64bits(v))
	}
	return b
}

func message(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}

// field is one field of a protocol buffer: a number in bits, or bytes.
type field struct {
	number protowire.Number
	bits   uint64
	bytes  []byte
}

// fields gives the fields of a protocol buffer to use.
func fields(b []byte, use func(field) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrCorrupt, protowire.ParseError(n))
		}
		f, rest := field{number: number}, b[n:]
		switch kind {
		case protowire.VarintType:
			f.bits, n = protowire.ConsumeVarint(rest)
		case protowire.Fixed64Type:
			f.bits, n = protowire.ConsumeFixed64(rest)
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(rest)
			f.bits = uint64(bits)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(rest)
		default:
			n = protowire.ConsumeFieldValue(number, kind, rest)
		}
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrCorrupt, protowire.ParseError(n))
		}
		if err := use(f); err != nil {
			return err
		}
		b = rest[n:]
	}
	return nil
}
