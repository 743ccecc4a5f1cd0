using System;
using System.Reflection;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace SslSock.Compat
{
    /// <summary>
    /// A program's certificate hook of whatever delegate type, called without its pointer: through that, what it throws
    /// would unwind the library, which ends the process on CoreCLR.
    /// </summary>
    internal static class HookDelegate
    {
        private const int Parameters = 5;

        /// <summary>Null if its arguments cannot be converted here, which is left to the pointer.</summary>
        internal static SslHelper.SSLVALIDATECERTFUNC Of(Delegate found)
        {
            Delegate same = found.GetInvocationList().Length == 1
                ? Delegate.CreateDelegate(typeof(SslHelper.SSLVALIDATECERTFUNC), found.Target, found.Method, false)
                : null;
            if (same != null)
            {
                return (SslHelper.SSLVALIDATECERTFUNC)same;
            }
            return IsConvertible(found.GetType())
                ? (type, argument, length, chain, flags) => Call(found, type, argument, length, chain, flags)
                : (SslHelper.SSLVALIDATECERTFUNC)null;
        }

        private static bool IsConvertible(Type type)
        {
            MethodInfo invoke = type.GetMethod("Invoke");
            ParameterInfo[] parameters = invoke.GetParameters();
            // Text in the form that is the default for delegates.
            if (parameters.Length != Parameters || type.IsDefined(typeof(UnmanagedFunctionPointerAttribute), false)
                || Array.Exists(parameters, one => one.IsDefined(typeof(MarshalAsAttribute), false)))
            {
                return false;
            }
            return IsNumber(invoke.ReturnType) && IsNumber(parameters[0].ParameterType)
                && IsPointer(parameters[1].ParameterType) && IsNumber(parameters[2].ParameterType)
                && IsPointer(parameters[3].ParameterType) && IsNumber(parameters[4].ParameterType);
        }

        private static bool IsNumber(Type type)
        {
            return type == typeof(int) || type == typeof(uint);
        }

        private static bool IsPointer(Type type)
        {
            return type == typeof(IntPtr) || type == typeof(string);
        }

        private static int Call(Delegate found, params object[] arguments)
        {
            ParameterInfo[] parameters = found.GetType().GetMethod("Invoke").GetParameters();
            for (int i = 0; i < arguments.Length; i++)
            {
                arguments[i] = Convert(arguments[i], parameters[i].ParameterType);
            }
            try
            {
                object answer = found.DynamicInvoke(arguments);
                return answer is uint ? unchecked((int)(uint)answer) : (int)answer;
            }
            catch (TargetInvocationException thrown)
            {
                ExceptionDispatchInfo.Capture(thrown.InnerException).Throw();
                throw;
            }
        }

        private static object Convert(object argument, Type type)
        {
            if (type == typeof(int))
            {
                return unchecked((int)(uint)argument);
            }
            return type == typeof(string) ? Marshal.PtrToStringAnsi((IntPtr)argument) : argument;
        }
    }
}
