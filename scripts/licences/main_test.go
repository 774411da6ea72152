package main

import (
	"bytes"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// docs/licences.txt names what is linked now, and all of it may be passed on with the program.
func TestLicences(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the file is that of linux/amd64: DuckDB's library is a module for each system")
	}
	var now bytes.Buffer
	if err := write(&now, "actfleet/cmd/actfleet"); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile("../../docs/licences.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(now.Bytes(), kept) {
		t.Error("docs/licences.txt is not what is linked now: run make licences")
	}
	all, err := components("actfleet/cmd/actfleet")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		for _, kind := range c.kinds {
			if strings.Contains(kind, "GPL") {
				t.Errorf("%s is under the %s", c.name, kind)
			}
		}
	}
}

func TestKindsOf(t *testing.T) {
	for text, want := range map[string][]string{
		"Apache License\n   Version 2.0, January 2004":                                  {"Apache-2.0"},
		"Permission is hereby granted, free of charge,\nto any person obtaining a copy": {"MIT"},
		"Redistribution and use in source and binary\nforms, with or without":           {"BSD-2-Clause"},
		"GNU GENERAL PUBLIC LICENSE\n Version 3":                                        {"GPL"},
		"All rights reserved.":                                                          nil,
	} {
		if got := kindsOf(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
