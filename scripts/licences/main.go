// Command licences prints the licences of everything that is linked into actfleet; docs/licences.txt is its output.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if err := write(os.Stdout, "./cmd/actfleet"); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

// component is something that is linked, with the texts of its licences.
type component struct {
	name, version string
	kinds         []string
	texts         []string
}

const head = `Licences of what is linked into actfleet on linux/amd64

Written by "make licences". libtorch and Gloo (both BSD-3-Clause) are not part of the program, which opens those that the
machine has.

`

// write prints the table of components and the texts of their licences, each text once.
func write(out io.Writer, program string) error {
	all, err := components(program)
	if err != nil {
		return err
	}
	fmt.Fprint(out, head)
	owners := map[string][]string{}
	var texts []string
	for _, c := range all {
		fmt.Fprintf(out, "%-52s %-36s %s\n", c.name, c.version, strings.Join(c.kinds, ", "))
		for _, text := range c.texts {
			if owners[text] == nil {
				texts = append(texts, text)
			}
			owners[text] = append(owners[text], c.name)
		}
	}
	line := strings.Repeat("-", 100)
	for _, text := range texts {
		fmt.Fprintf(out, "\n%s\n%s\n%s\n\n%s\n", line, strings.Join(owners[text], "\n"), line, text)
	}
	return nil
}

// listed is what go list says of a package.
type listed struct {
	Dir    string
	Module *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// components lists the modules that the program's packages belong to, Go's own library first.
func components(program string) ([]component, error) {
	packages, err := list(program)
	if err != nil {
		return nil, err
	}
	folders := map[string]map[string]bool{} // by module: where its packages lie
	versions := map[string]string{}
	for _, p := range packages {
		if p.Module == nil || p.Module.Main {
			continue
		}
		name := p.Module.Path
		if folders[name] == nil {
			folders[name] = map[string]bool{}
		}
		versions[name] = p.Module.Version
		for dir := p.Dir; strings.HasPrefix(dir, p.Module.Dir); dir = filepath.Dir(dir) {
			folders[name][dir] = true
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	folders["Go"] = map[string]bool{strings.TrimSpace(string(root)): true}
	var all []component
	for name, dirs := range folders {
		c, err := read(name, versions[name], dirs)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b component) int { return cmp.Compare(a.name, b.name) })
	return all, nil
}

func list(program string) (all []listed, err error) {
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,Module", program)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -deps %s: %w", program, err)
	}
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list -deps %s: %w", program, err)
		}
		all = append(all, p)
	}
}

var fileNames = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)(\..*)?$`)

// read finds the files with licences in the folders of a module; one without any is an error.
func read(name, version string, dirs map[string]bool) (component, error) {
	c := component{name: name, version: version}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return c, err
		}
		for _, e := range entries {
			if !fileNames.MatchString(e.Name()) || !e.Type().IsRegular() {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return c, err
			}
			c.add(strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
		}
	}
	if len(c.kinds) == 0 {
		return c, fmt.Errorf("%s %s: no file with a licence that is known here", name, version)
	}
	return c, nil
}

func (c *component) add(text string) {
	if slices.Contains(c.texts, text) {
		return
	}
	c.texts = append(c.texts, text)
	for _, kind := range kindsOf(text) {
		if !slices.Contains(c.kinds, kind) {
			c.kinds = append(c.kinds, kind)
		}
	}
}

// signs are sentences by which licences are told apart.
var signs = []struct{ kind, sentence string }{
	{"Apache-2.0", "Apache License Version 2.0"},
	{"MPL-2.0", "Mozilla Public License, version 2.0"},
	{"MPL-2.0", "Mozilla Public License Version 2.0"},
	{"BSD-3-Clause", "may be used to endorse or promote products derived from this software"},
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose"},
	{"CC0-1.0", "CC0 1.0 Universal"},
	{"GPL", "GNU GENERAL PUBLIC LICENSE Version"},
	{"LGPL", "GNU LESSER GENERAL PUBLIC LICENSE Version"},
	{"AGPL", "GNU AFFERO GENERAL PUBLIC LICENSE Version"},
}

// kindsOf names the licences in a text by their SPDX identifiers.
func kindsOf(text string) (kinds []string) {
	flat := strings.Join(strings.Fields(text), " ")
	for _, s := range signs {
		if strings.Contains(strings.ToLower(flat), strings.ToLower(s.sentence)) && !slices.Contains(kinds, s.kind) {
			kinds = append(kinds, s.kind)
		}
	}
	if len(kinds) == 0 && strings.Contains(flat, "Redistribution and use in source and binary forms") {
		kinds = append(kinds, "BSD-2-Clause")
	}
	return kinds
}
