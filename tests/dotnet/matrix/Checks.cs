using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;

namespace Matrix
{
    /// <summary>Marks what is about upgraded sockets alone: a static method that throws if it is not so.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    public sealed class CheckAttribute : Attribute
    {
    }

    /// <summary>Runs checks, each of which has the process to itself.</summary>
    public static class Checks
    {
        private static readonly Type[] Groups = { typeof(Collecting), typeof(Hooks), typeof(Disposing) };

        /// <param name="name">The method's name.</param>
        /// <returns>The status for the program's end.</returns>
        public static int Run(string name)
        {
            MethodInfo check = Groups
                .SelectMany(group => group.GetMethods(BindingFlags.Static | BindingFlags.NonPublic))
                .Single(method => method.Name == name && Attribute.IsDefined(method, typeof(CheckAttribute)));
            ((Action)Delegate.CreateDelegate(typeof(Action), check))();
            return 0;
        }

        /// <summary>How often, in the usual run and in the long one.</summary>
        public static int Rounds(int usual, int many)
        {
            return Environment.GetEnvironmentVariable("SSLSOCK_LONG") == null ? usual : many;
        }

        public static void Equal<T>(string what, T seen, T wanted)
        {
            if (!EqualityComparer<T>.Default.Equals(seen, wanted))
            {
                throw new InvalidOperationException(what + ": " + seen + " instead of " + wanted);
            }
        }

        public static void True(string what, bool isSo)
        {
            if (!isSo)
            {
                throw new InvalidOperationException("not so: " + what);
            }
        }
    }
}
