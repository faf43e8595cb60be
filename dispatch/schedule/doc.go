// Package schedule makes jobs at given times: cron lines with a time zone, and
// "@every". Each due time becomes one submission in the log HERO_JOBS, as if
// somebody had published it then; what follows is dispatch's. The component needs
// the bus and no Redis.
//
// # Once per due time
//
// The job of a due time has the id <schedule>-<unix seconds>, whoever makes it.
// A decision is carried out in this order: the submission into the log, how far
// the schedule has come into the bucket HERO_SCHEDULES, the fact on the bus. So
//
//	a crash before the submission      the due time is found again at the next look
//	a crash between the two writes     it is submitted again under the same id: the log
//	                                   drops that within two minutes; the intake takes it
//	                                   for the same job while the record is there; and a
//	                                   due time older than a minute is first looked up in
//	                                   the history of facts (JobQueued of that id, seven
//	                                   days)
//	two daemons on one bus             both submit the same id; one writes the bucket
//	                                   first (by revision), and that one tells the fact
//
// A fact can be lost by a crash, or by a history that its bounds have cut; a job not.
// Only where all four are gone (two minutes, the record, the history, the bucket's
// write) would a due time get a second job.
//
// # Missed
//
// A look happens at each due time, at each change, and at least once a minute (the
// clock may be set). Everything due since the last decision is settled in one
// decision, which makes at most one job, for the last due time, so that a daemon
// that comes back does not start a day of jobs at once. If that due time is more
// than a minute old it was missed: with missed: once (the default: the backup of
// last night is to be made) it gets its job all the same, with missed: skip none.
// ScheduleFired tells of the job, ScheduleMissed of the due times without one: how
// many (10,000 means at least), the first and the last, and why. Times that pass in
// a pause are nobody's: they are not due. So are those before a schedule was added
// and those before its times were changed; a change of script alone leaves what is
// due.
//
// A decision more than an hour in the future says that the clock was set back
// since: the schedule goes on from now, rather than being silent until then. The ids
// see to it that what ran is not run again.
//
// # Where the clock jumps
//
// Zones are names of the IANA database, which the binary carries along. Without one
// it is UTC and not the machine's: two daemons must agree. A line that names hours
// means what the clock on the wall shows:
//
//	02:30 does not exist (spring)   due once, at the jump (03:00 summer time); what falls
//	                                together there is one due time
//	01:30 exists twice (autumn)     due the first time only
//
// A line of every hour ("*/15 * * * *", "@hourly") means time as it passes: nothing is
// due in an hour that does not exist, and the hour that comes twice is served twice, so
// that fifteen minutes stay fifteen minutes. This is how Vixie's and ISC's cron have it.
// "@every" counts seconds from the moment it was added (or its pause ended) and knows no
// clock.
//
// # The library
//
// github.com/netresearch/go-cron (MIT, no dependencies) parses the five fields and walks
// the calendar, in UTC only; the zone is laid over it here (next.go). It is the maintained
// fork of robfig/cron, whose last release is of 2020 and which panics on lines such as
// "TZ=0" (its issue 554) and skips what falls into a spring jump (541). adhocore/gronx is
// alive, but tests each candidate by parsing the line again, and its errors do not
// say more. No library's errors name the field, so each field is tried alone first.
// Both day fields given are "or", as every crontab has it.
//
// # Loop
//
// One goroutine owns all state: the timer, the requests, the changes in the bucket (which
// another daemon may make). Due and Timetable.Next are pure; time is an argument. While
// the bus does not take a write, the look is repeated at a pace of 0.1 s doubled to 10 s;
// nothing is lost by that, only late.
//
// # Bounds
//
// 1,000 schedules; names of 48 characters; lines of 256 bytes; @every from 1 s to 366 days;
// each call of the bus 5 s.
//
// # In and out
//
// In: ScheduleAdd, ScheduleRemove, SchedulePause, ScheduleResume, ScheduleList. Out:
// ScheduleAdded, ScheduleRemoved, SchedulePaused, ScheduleResumed, ScheduleFired,
// ScheduleMissed, CommandRejected. Schedules of the configuration file are written into the
// bucket at the start and leave it when the file drops them; by command they can be paused
// and nothing else. Daemons that share a bus should share that part of the file.
package schedule
