package safetensors

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// file joins a header text and a data section of n bytes.
func file(header string, n int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	out = append(out, header...)
	return append(out, make([]byte, n)...)
}

var corrupt = []struct {
	name string
	data []byte
	want string // in the message
}{
	{"empty", nil, "empty file"},
	{"short", []byte{1, 0, 0}, "3 bytes"},
	{"header too long", binary.LittleEndian.AppendUint64(nil, 1<<63), "the limit is 100000000"},
	{"header beyond file", binary.LittleEndian.AppendUint64(nil, 50), "truncated"},
	{"not json", file("hello", 0), "not a JSON object"},
	{"not utf-8", file("{\"\xff\":1}", 0), "not UTF-8"},
	{"array", file("[]", 0), "not a JSON object"},
	{"unfinished", file(`{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}`, 1), "header"},
	{"trailing", file(`{} {}`, 0), "follows"},
	{"twice", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), `"a" is named twice`},
	{"metadata twice", file(`{"__metadata__":{},"__metadata__":{}}`, 0), "named twice"},
	{"metadata not strings", file(`{"__metadata__":{"a":1}}`, 0), "__metadata__"},
	{"dtype", file(`{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}`, 1), `unknown dtype "F4"`},
	{"no dtype", file(`{"a":{"shape":[2],"data_offsets":[0,1]}}`, 1), "want dtype"},
	{"null", file(`{"a":null}`, 0), "want dtype"},
	{"one offset", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}`, 1), "two data_offsets"},
	{"size", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4), "takes 8"},
	{"negative dimension", file(`{"a":{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}}`, 1), "impossible shape"},
	{"overflow", file(`{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "impossible shape"},
	{"fraction", file(`{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}`, 1), `"a"`},
	{"offset overflow", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775807,-9223372036854775808]}}`, 1), "bytes 9223372036854775807"},
	{"backwards", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, 1), "bytes 1 to 0"},
	{"truncated data", file(`{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}`, 8), "truncated"},
	{"gap", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "gap or an overlap"},
	{"overlap", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), `"b" begins at byte 1`},
	{"rest", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 3), "1 bytes follow"},
	{"rest without tensors", file(`{}`, 3), "3 bytes follow"},
}

func TestOpenCorrupt(t *testing.T) {
	for _, c := range corrupt {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "weights.safetensors")
			if err := os.WriteFile(path, c.data, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("error %v, want ErrCorrupt", err)
			}
			msg := err.Error()
			if !strings.Contains(msg, c.want) || !strings.Contains(msg, path) || strings.Contains(msg, "\n") {
				t.Errorf("message %q: want one line with %q and the path", msg, c.want)
			}
		})
	}
}

func TestOpenRefusesOtherThanFiles(t *testing.T) {
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("folder: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func TestLongNamesAreCutInErrors(t *testing.T) {
	name := strings.Repeat("x", 100000)
	_, err := parse(file(`{"`+name+`":{"dtype":"F4","shape":[`+strings.Repeat("1,", 50)+`1],"data_offsets":[0,1]}}`, 1))
	if err == nil || len(err.Error()) > 400 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func FuzzOpen(f *testing.F) {
	for _, c := range corrupt {
		f.Add(c.data)
	}
	f.Add(file(`{"__metadata__":{"k":"v"},"a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}}`, 8))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parse(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v is not ErrCorrupt", err)
			}
			return
		}
		total := h.base
		for _, x := range h.tensors {
			if x.begin < 0 || h.base+x.begin+x.Size > int64(len(data)) || x.Elements()*int64(x.Dtype.Size()) != x.Size {
				t.Fatalf("%+v lies outside of %d bytes", x, len(data))
			}
			total += x.Size
		}
		if total != int64(len(data)) {
			t.Fatalf("tensors account for %d of %d bytes", total, len(data))
		}
	})
}
