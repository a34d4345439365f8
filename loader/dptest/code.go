package dptest

import (
	"fmt"
	"math"

	"github.com/cilium/ebpf/asm"
)

// code is what has to be known of a program to put instructions into it.
type code struct {
	insns  asm.Instructions
	target map[int]int // of jumps: from instruction to instruction
	blocks []block
	live   []registers // what is read later, before each instruction
}

// block is a run of instructions that are executed from the first to the last, or not at all.
type block struct {
	first, end int
}

// registers is a set of them, a bit for each.
type registers uint16

func setOf(rs ...asm.Register) (set registers) {
	for _, r := range rs {
		set |= 1 << r
	}
	return set
}

const argumentsOfCall = registers(1<<asm.R1 | 1<<asm.R2 | 1<<asm.R3 | 1<<asm.R4 | 1<<asm.R5)

func analyse(insns asm.Instructions) (*code, error) {
	c := &code{insns: insns, target: map[int]int{}, live: make([]registers, len(insns)+1)}
	begins, at := places(insns)
	leads := make([]bool, len(insns)+1)
	for i, ins := range insns {
		if ins.Symbol() != "" {
			leads[i] = true
		}
		if !ins.OpCode.Class().IsJump() || isCall(ins) {
			continue
		}
		leads[i+1] = true
		if isExit(ins) {
			continue
		}
		to, ok := at[begins[i]+1+int(ins.Offset)]
		if !ok {
			return nil, fmt.Errorf("instruction %d (%v) jumps into another", i, ins)
		}
		c.target[i], leads[to] = to, true
	}
	leads[len(insns)] = true
	for first, i := 0, 1; i <= len(insns); i++ {
		if leads[i] {
			c.blocks = append(c.blocks, block{first, i})
			first = i
		}
	}
	c.follow()
	return c, nil
}

// places returns where each instruction begins, in units of eight bytes, and which one begins there.
func places(insns asm.Instructions) (begins []int, at map[int]int) {
	at, size := map[int]int{}, 0
	for i, ins := range insns {
		begins = append(begins, size)
		at[size] = i
		size += int(ins.Width())
	}
	return begins, at
}

func isCall(ins asm.Instruction) bool { return ins.OpCode.JumpOp() == asm.Call }
func isExit(ins asm.Instruction) bool { return ins.OpCode.JumpOp() == asm.Exit }
func isGoto(ins asm.Instruction) bool { return ins.OpCode.JumpOp() == asm.Ja }

// follow finds out what is live, from the end backwards, until nothing changes any more.
func (c *code) follow() {
	for changed := true; changed; {
		changed = false
		for i := len(c.insns) - 1; i >= 0; i-- {
			ins := c.insns[i]
			var after registers
			if !isExit(ins) && !isGoto(ins) {
				after = c.live[i+1]
			}
			if to, jumps := c.target[i]; jumps {
				after |= c.live[to]
			}
			reads, writes := effects(ins)
			if before := after&^writes | reads; before != c.live[i] {
				c.live[i], changed = before, true
			}
		}
	}
}

// effects returns the registers that an instruction reads and those that it writes without having read them.
func effects(ins asm.Instruction) (reads, writes registers) {
	op := ins.OpCode
	switch class := op.Class(); {
	case isExit(ins):
		return setOf(asm.R0), 0
	case isCall(ins):
		return argumentsOfCall, argumentsOfCall | setOf(asm.R0)
	case class == asm.LdClass:
		return 0, setOf(ins.Dst)
	case class == asm.LdXClass:
		return setOf(ins.Src), setOf(ins.Dst)
	case class == asm.StClass:
		return setOf(ins.Dst), 0
	case class == asm.StXClass:
		if op.Mode() == asm.AtomicMode && op.AtomicOp() == asm.CmpXchg {
			return setOf(ins.Dst, ins.Src, asm.R0), 0
		}
		return setOf(ins.Dst, ins.Src), 0
	case isGoto(ins):
		return 0, 0
	}
	reads = setOf(ins.Dst)
	if op.Source() == asm.RegSource && op.ALUOp() != asm.Swap {
		reads |= setOf(ins.Src)
	}
	if op.Class().IsALU() {
		writes = setOf(ins.Dst)
		if op.ALUOp() == asm.Mov {
			reads &^= setOf(ins.Dst)
			if op.Source() == asm.RegSource {
				reads |= setOf(ins.Src)
			}
		}
	}
	return reads, writes
}

// room finds the instruction of a block before which the most registers are free, two of them at best, and returns
// two, the free ones first, then those that hold something for certain: of a call's arguments nobody knows how many there
// are. Not the first instruction of a function, which has the function's name and types.
func (c *code) room(b block) (at int, two [2]asm.Register, free int) {
	free = -1
	for i := b.first; i < b.end && free < len(two); i++ {
		if c.insns[i].Symbol() != "" {
			continue
		}
		var idle, busy []asm.Register
		for r := asm.R0; r <= asm.R9; r++ {
			if c.live[i]&setOf(r) == 0 {
				idle = append(idle, r)
			} else {
				busy = append([]asm.Register{r}, busy...)
			}
		}
		if n := min(len(two), len(idle)); n > free {
			at, free, two = i, n, [2]asm.Register(append(idle, busy...))
		}
	}
	return at, two, free
}

// stackOf is how many bytes of stack the function of an instruction uses.
func (c *code) stackOf(i int) (depth int16) {
	for i > 0 && c.insns[i].Symbol() == "" {
		i--
	}
	for n, ins := range c.insns[i:] {
		if n > 0 && ins.Symbol() != "" {
			break
		}
		offset := int16(0)
		switch class := ins.OpCode.Class(); {
		case class.IsStore() && ins.Dst == asm.RFP, class == asm.LdXClass && ins.Src == asm.RFP:
			offset = ins.Offset
		case class == asm.ALU64Class && ins.OpCode.ALUOp() == asm.Add && ins.Constant < 0 && ins.Constant >= -512:
			offset = int16(ins.Constant)
		}
		depth = max(depth, -offset)
	}
	return depth
}

// with returns the program with instructions put before some of its own. Who jumps to one of these comes to what was
// put before it.
func (c *code) with(before map[int]asm.Instructions) (out asm.Instructions, err error) {
	entry, place := make([]int, len(c.insns)), make([]int, len(c.insns))
	size := 0
	for i, ins := range c.insns {
		entry[i] = size
		for _, put := range before[i] {
			size += int(put.Width())
		}
		place[i] = size
		size += int(ins.Width())
	}
	for i, ins := range c.insns {
		if to, jumps := c.target[i]; jumps {
			offset := entry[to] - place[i] - 1
			if offset < math.MinInt16 || offset > math.MaxInt16 {
				return nil, fmt.Errorf("instruction %d would jump too far", i)
			}
			ins.Offset = int16(offset)
		}
		out = append(append(out, before[i]...), ins)
	}
	return out, nil
}
