package main

import (
	"fmt"
	"strings"

	"actfleet/collector"
	"actfleet/collector/model/adapter"
)

// adapt adds the adapters of the flags, NAME=DIR each, to a model.
func adapt(m collector.Model, flags []string) error {
	for _, flag := range flags {
		name, dir, ok := strings.Cut(flag, "=")
		if !ok || name == "" || dir == "" {
			return fmt.Errorf("%w: --adapter %s: want NAME=DIR, with the folder of an adapter", errUsage, flag)
		}
		set, err := adapter.Read(dir)
		if err == nil {
			err = m.Adapt(name, set)
		}
		if err != nil {
			return fmt.Errorf("--adapter %s: %w", flag, err)
		}
	}
	return nil
}
