package shard

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Version is the version of the shard format.
const Version = "1"

// The keys of the footer's metadata.
const (
	metaVersion = "actfleet.format"
	metaPlan    = "actfleet.plan"
	metaUnit    = "actfleet.unit"
	metaVectors = "actfleet.vectors"
)

const (
	parquetMagic = "PAR1"
	createdBy    = "actfleet version " + Version + ".0.0"
)

// vectorMeta is one entry of the JSON list under metaVectors. Floats are written in the shortest form that reads back
// to the same bits.
type vectorMeta struct {
	Vector
	PageRows int `json:"page_rows"`
	VectorStats
}

// metadata is what the footer's key/value pairs hold.
type metadata struct {
	id      Identity
	vectors []vectorMeta
}

func (m metadata) pairs() thrift.Slice[format.KeyValue] {
	vectors, err := json.Marshal(append([]vectorMeta{}, m.vectors...)) // [], not null
	if err != nil {
		panic(err) // the sums are finite: see finite
	}
	return thrift.Slice[format.KeyValue]{
		{Key: metaVersion, Value: Version},
		{Key: metaPlan, Value: m.id.PlanID},
		{Key: metaUnit, Value: strconv.Itoa(m.id.Unit)},
		{Key: metaVectors, Value: string(vectors)},
	}
}

// parseMetadata reads the pairs back.
func parseMetadata(pairs map[string]string) (metadata, error) {
	var m metadata
	switch v, ok := pairs[metaVersion]; {
	case !ok:
		return m, fmt.Errorf("%w: the metadata has no %s (was the file written by another program?)", ErrSchema, metaVersion)
	case v != Version:
		return m, fmt.Errorf("%w: format version %.20q, this program reads %s", ErrSchema, v, Version)
	}
	unit, err := strconv.Atoi(pairs[metaUnit])
	if err != nil || unit < 0 {
		return m, fmt.Errorf("%w: metadata %s is %.20q", ErrCorrupt, metaUnit, pairs[metaUnit])
	}
	m.id = Identity{PlanID: pairs[metaPlan], Unit: unit}
	if m.vectors, err = parseVectors(pairs[metaVectors]); err != nil {
		return m, fmt.Errorf("%w: metadata %s: %w", ErrCorrupt, metaVectors, err)
	}
	return m, nil
}

// parseVectors reads the JSON list one entry after the other, so that a long list of nothing takes no memory.
func parseVectors(text string) (vectors []vectorMeta, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	if t, err := d.Token(); t != json.Delim('[') {
		return nil, fmt.Errorf("%.20q is not a list: %v", text, err)
	}
	for d.More() {
		var v vectorMeta
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		if v.PageRows < 1 || v.PageRows > RowGroupRows {
			return nil, fmt.Errorf("column %.80q has pages of %d rows", v.Name, v.PageRows)
		}
		vectors = append(vectors, v)
	}
	_, err = d.Token()
	return vectors, err
}
