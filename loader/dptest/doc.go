// Package dptest runs the data path's program in tests: with small tables of its own, on single
// packets, without touching an interface of the machine. A Bed is the program with its tables; it
// fills them, runs packets, and reads back verdict, bytes, counters and the flow table. A Story is a
// text that says what happens packet by packet; Model is what the program should decide, written a
// second time in Go.
//
// Time does not pass in a Bed unless Age says so: it makes every flow look that much older.
package dptest
