package scaler

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"herosup/events"
)

// Config says which pools there are.
type Config struct {
	Pools []Pool
	// Settle is how long after its start the scaler waits for SystemStarted
	// before it decides without; 0 means two seconds.
	Settle time.Duration
}

const defaultSettle = 2 * time.Second

// longestPool leaves room for "_<n>" in an actor's id.
var longestPool = events.MaxToken - len("_") - len(strconv.Itoa(MaxActors))

// Validate checks all pools. The error joins one per fault.
func (c Config) Validate() error {
	var errs []error
	seen := map[string]bool{}
	for _, p := range c.Pools {
		if err := events.CheckToken("pools."+p.Name+": name", p.Name); err != nil {
			errs = append(errs, err)
			continue
		}
		switch {
		case len(p.Name) > longestPool:
			errs = append(errs, fmt.Errorf("pools.%s: name is %d bytes long, want at most %d (actors are called <pool>_<n>)", p.Name, len(p.Name), longestPool))
		case seen[p.Name]:
			errs = append(errs, fmt.Errorf("pools.%s: is there twice", p.Name))
		}
		seen[p.Name] = true
		if len(p.Types) == 0 {
			errs = append(errs, fmt.Errorf("pools.%s: runs jobs of no type", p.Name))
		}
		for _, t := range p.Types {
			errs = append(errs, events.CheckToken("pools."+p.Name+".type", t))
		}
		errs = append(errs, p.Policy.Validate(p.Name))
	}
	return errors.Join(errs...)
}
