package events

import "time"

// Seconds is a duration as it is written in JSON: a number of seconds.
type Seconds float64

// SecondsOf converts from a duration.
func SecondsOf(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// Duration converts back, rounded to the nanosecond.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }
