using Mono.Cecil;
using Mono.Cecil.Cil;

namespace Starlight.Architecture.Tests.Rules;

/// <summary>
/// Which instructions put the arguments of a call on the stack: the method body is run over a stack that holds, in place of each value, the instruction that made it. Good for
/// constants, which is what error codes are; a value with two origins (<c>a ? x : y</c>) counts as the last one.
/// </summary>
internal static class Arguments
{
    /// <summary>Every call of <paramref name="method"/> with the origins of its arguments, the instance first where there is one (not for constructors).</summary>
    public static IEnumerable<(MethodReference Called, Instruction?[] Origins)> CallsIn(MethodDefinition method)
    {
        Dictionary<Instruction, List<Instruction?>> atTargets = [];
        foreach (ExceptionHandler handler in method.Body.ExceptionHandlers)
        {
            bool hasException = handler.HandlerType is ExceptionHandlerType.Catch or ExceptionHandlerType.Filter;
            atTargets[handler.HandlerStart] = hasException ? [null] : [];
            if (handler.FilterStart is not null)
            {
                atTargets[handler.FilterStart] = [null];
            }
        }

        List<Instruction?> stack = [];
        bool reachable = true;
        foreach (Instruction instruction in method.Body.Instructions)
        {
            if (atTargets.TryGetValue(instruction, out List<Instruction?>? saved))
            {
                stack = reachable && stack.Count == saved.Count ? stack : [.. saved];
            }
            else if (!reachable)
            {
                stack = [];
            }

            reachable = instruction.OpCode.FlowControl is not (FlowControl.Branch or FlowControl.Return or FlowControl.Throw);
            if (instruction.Operand is MethodReference called && instruction.OpCode.FlowControl == FlowControl.Call)
            {
                int count = called.Parameters.Count + (called.HasThis && instruction.OpCode.Code != Code.Newobj ? 1 : 0);
                yield return (called, Pop(stack, count));
                if (instruction.OpCode.Code == Code.Newobj || called.ReturnType.FullName != "System.Void")
                {
                    stack.Add(instruction);
                }
            }
            else if (instruction.OpCode.Code == Code.Dup)
            {
                stack.Add(stack.Count > 0 ? stack[^1] : null);
            }
            else
            {
                Pop(stack, Popped(instruction, stack.Count));
                stack.AddRange(Enumerable.Repeat<Instruction?>(instruction, Pushed(instruction.OpCode.StackBehaviourPush)));
            }

            foreach (Instruction target in Targets(instruction))
            {
                atTargets.TryAdd(target, [.. stack]);
            }
        }
    }

    /// <summary>The parameter that an instruction loads, or null if it does something else.</summary>
    public static ParameterDefinition? ParameterOf(Instruction origin, MethodDefinition method)
    {
        int shift = method.HasThis ? 1 : 0;
        int index = origin.OpCode.Code switch
        {
            Code.Ldarg_0 => 0,
            Code.Ldarg_1 => 1,
            Code.Ldarg_2 => 2,
            Code.Ldarg_3 => 3,
            Code.Ldarg or Code.Ldarg_S => ((ParameterDefinition)origin.Operand).Index + shift,
            _ => -1,
        } - shift;
        return index >= 0 ? method.Parameters[index] : null;
    }

    private static Instruction[] Targets(Instruction instruction) => instruction.Operand switch
    {
        Instruction one when instruction.OpCode.FlowControl is FlowControl.Branch or FlowControl.Cond_Branch => [one],
        Instruction[] many => many,
        _ => [],
    };

    private static Instruction?[] Pop(List<Instruction?> stack, int count)
    {
        int known = Math.Min(count, stack.Count);
        Instruction?[] popped = [.. Enumerable.Repeat<Instruction?>(null, count - known), .. stack[^known..]];
        stack.RemoveRange(stack.Count - known, known);
        return popped;
    }

    private static int Popped(Instruction instruction, int depth) => instruction.OpCode.StackBehaviourPop switch
    {
        StackBehaviour.Pop0 => 0,
        StackBehaviour.Pop1 or StackBehaviour.Popi or StackBehaviour.Popref => 1,
        StackBehaviour.PopAll => depth,
        StackBehaviour.Popi_popi_popi or StackBehaviour.Popref_popi_popi or StackBehaviour.Popref_popi_popi8
            or StackBehaviour.Popref_popi_popr4 or StackBehaviour.Popref_popi_popr8 or StackBehaviour.Popref_popi_popref => 3,
        StackBehaviour.Varpop => instruction.OpCode.Code == Code.Ret ? depth : 0,
        _ => 2,
    };

    private static int Pushed(StackBehaviour push) => push switch
    {
        StackBehaviour.Push0 or StackBehaviour.Varpush => 0,
        StackBehaviour.Push1_push1 => 2,
        _ => 1,
    };
}
