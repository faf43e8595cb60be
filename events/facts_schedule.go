package events

import "time"

// ScheduleAdded: the schedule is kept, and fires at its times from now on.
type ScheduleAdded struct {
	Schedule string    `json:"schedule" subject:"0"`
	Cron     string    `json:"cron"`
	Timezone string    `json:"timezone"`
	Type     string    `json:"type"`
	Next     time.Time `json:"next,omitzero"`
	// Replaced says that one of this name was there before.
	Replaced bool `json:"replaced,omitempty"`
}

// ScheduleRemoved: it fires no more. Jobs that it made go on.
type ScheduleRemoved struct {
	Schedule string `json:"schedule" subject:"0"`
	Reason   string `json:"reason,omitempty"`
}

// SchedulePaused: its times pass without a job until it is resumed.
type SchedulePaused struct {
	Schedule string `json:"schedule" subject:"0"`
}

// ScheduleResumed: it fires again. What was due in the pause was not missed.
type ScheduleResumed struct {
	Schedule string    `json:"schedule" subject:"0"`
	Next     time.Time `json:"next,omitzero"`
}

// ScheduleFired: the log has the job of this due time.
type ScheduleFired struct {
	Schedule string    `json:"schedule" subject:"0"`
	Type     string    `json:"type"`
	Job      string    `json:"job"`
	Due      time.Time `json:"due"`
	// Late is how long after the due time this was.
	Late   Seconds `json:"late"`
	Reason string  `json:"reason"`
}

// ScheduleMissed: due times passed without a job, and none will be made for them.
type ScheduleMissed struct {
	Schedule string `json:"schedule" subject:"0"`
	// Count is how many; 10,000 means that many at least.
	Count int       `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Policy is what the schedule says of missed ones: "skip" or "once".
	Policy string `json:"policy"`
	Reason string `json:"reason"`
}
