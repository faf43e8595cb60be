package dispatch

import (
	"fmt"
	"time"

	"herosup/events"
)

// Defaults are what a job has whose submission does not say it: a header that is not there, a JSON member that is
// absent or null, a nil of Options. A 0 is said, and means none.
//
// The intake puts them into the record when it takes the job in. So they are the job's for good, its later attempts
// and retries included, whatever the settings say by then. The log keeps what the submitter said and no more: a job that
// is read from it again, because Redis forgot it, has the defaults of that day.
type Defaults struct {
	// Timeout ends the script; 0 is none.
	Timeout time.Duration
	// Retries is how often a failed attempt is made anew.
	Retries int
}

const (
	// MaxTimeout catches a unit that was mistaken (milliseconds for seconds).
	MaxTimeout = 30 * 24 * time.Hour
	// MaxRetries catches a number that was meant for something else.
	MaxRetries = 100
)

// check refuses what no submission could say either.
func (d Defaults) check() error {
	if d.Timeout < 0 || d.Timeout > MaxTimeout {
		return fmt.Errorf("timeout %v: want 0 to %v", d.Timeout, MaxTimeout)
	}
	if d.Retries < 0 || d.Retries > MaxRetries {
		return fmt.Errorf("retries %d: want 0 to %d", d.Retries, MaxRetries)
	}
	return nil
}

// defaultsOf are those of a type; one that has none of its own has those of "".
func (c Config) defaultsOf(jobType string) Defaults {
	if d, own := c.Defaults[jobType]; own {
		return d
	}
	return c.Defaults[""]
}

// secondsOf writes what a submission says of a duration.
func secondsOf(d *time.Duration) *events.Seconds {
	if d == nil {
		return nil
	}
	return new(events.SecondsOf(*d))
}
