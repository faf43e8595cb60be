package events

// ScheduleAdd: keep a schedule. Its job is a submission: script, type, and the
// headers (Hero-*) that would go with them.
type ScheduleAdd struct {
	Schedule string `json:"schedule" subject:"0"`
	// Cron is five fields, @hourly and its like, or "@every 90s".
	Cron string `json:"cron"`
	// Timezone is a name of the IANA database; "" means UTC.
	Timezone string            `json:"timezone,omitempty"`
	Type     string            `json:"type"`
	Script   string            `json:"script"`
	Headers  map[string]string `json:"headers,omitempty"`
	// Missed says what becomes of due times that nobody looked at in time:
	// "once" (the default) makes one job for all of them, "skip" none.
	Missed string `json:"missed,omitempty"`
	Paused bool   `json:"paused,omitempty"`
	// Replace lets it take the place of one of the same name.
	Replace bool `json:"replace,omitempty"`
}

// ScheduleRemove: forget a schedule.
type ScheduleRemove struct {
	Schedule string `json:"schedule" subject:"0"`
}

// SchedulePause: let its times pass until it is resumed.
type SchedulePause struct {
	Schedule string `json:"schedule" subject:"0"`
}

// ScheduleResume ends a pause.
type ScheduleResume struct {
	Schedule string `json:"schedule" subject:"0"`
}

// ScheduleList asks for the schedules; the answer is a JSON array.
type ScheduleList struct{}
