// Package doctor looks whether a Herosup has what it needs on this machine, with or
// without a running daemon, and says what it found: a list of findings as values,
// each good, worth a word, or bad, the last two with what to do.
//
// One check is one file. What a check has seen is judged by a pure function where
// there is something to judge; looking is plain I/O around it. Checks run side by
// side, each bounded (Subject.Bound): one that gets no answer is a bad finding, and
// never holds up the others. Nothing is started and nothing is changed, but for one
// file in the state folder that is made and removed, since rights alone do not tell
// whether a folder can be written.
//
// With a running daemon the checks look at what it uses; without one, at what the
// next start would find.
package doctor
