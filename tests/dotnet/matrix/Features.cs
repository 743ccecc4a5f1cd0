using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Threading;

namespace Matrix
{
    /// <summary>Marks the steps of a feature: a static method.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    public sealed class FeatureAttribute : Attribute
    {
        public FeatureAttribute(string name)
        {
            Name = name;
        }

        public string Name { get; private set; }

        /// <summary>It is about what was done in clear before, so there is none where nothing is.</summary>
        public bool NeedsClearText { get; set; }
    }

    /// <summary>Runs every feature in every way.</summary>
    public static class Features
    {
        private const int FeatureMilliseconds = 60000;

        private static readonly Type[] Groups =
        {
            typeof(Transfer), typeof(Waiting), typeof(Streams), typeof(ByEventArgs), typeof(ByBeginEnd),
            typeof(ByAwait), typeof(PendingReads), typeof(Connecting), typeof(Options), typeof(Endings),
            typeof(Closing), typeof(Load), typeof(Helpers)
        };

        /// <summary>Those with one of the words in their names, or all.</summary>
        /// <returns>The status for the program's end.</returns>
        public static int Run(IList<Way> ways, IList<string> words)
        {
            bool failed = false;
            Report.Line("runtime", RuntimeInformation.FrameworkDescription);
            foreach (MethodInfo method in Groups.SelectMany(Methods))
            {
                FeatureAttribute feature = Of(method);
                if (words.Count > 0 && !words.Any(word => feature.Name.Contains(word)))
                {
                    continue;
                }
                foreach (Way way in ways)
                {
                    if (way != Way.Immediate || !feature.NeedsClearText)
                    {
                        failed |= !Run(method, feature.Name, way);
                    }
                }
            }
            Report.Line("done");
            return failed ? 1 : 0;
        }

        private static IEnumerable<MethodInfo> Methods(Type group)
        {
            return group.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
                .Where(method => Of(method) != null)
                .OrderBy(method => method.MetadataToken);
        }

        private static FeatureAttribute Of(MethodInfo method)
        {
            return (FeatureAttribute)Attribute.GetCustomAttribute(method, typeof(FeatureAttribute));
        }

        private static bool Run(MethodInfo method, string name, Way way)
        {
            TimerCallback hung = _ =>
            {
                Report.Line("failed", way.ToString(), name, "it hangs");
                // Environment.Exit would wait for the thread that hangs.
                System.Diagnostics.Process.GetCurrentProcess().Kill();
            };
            using (new Timer(hung, null, FeatureMilliseconds, Timeout.Infinite))
            {
                try
                {
                    Steps(method)(way, name);
                    return true;
                }
                catch (Exception thrown)
                {
                    Report.Line("failed", way.ToString(), name, thrown.ToString());
                    return false;
                }
            }
        }

        /// <summary>A method takes a conversation, or the way and the name, to make its own.</summary>
        private static Action<Way, string> Steps(MethodInfo method)
        {
            if (method.GetParameters().Length == 2)
            {
                return (Action<Way, string>)Delegate.CreateDelegate(typeof(Action<Way, string>), method);
            }
            var steps = (Action<Conversation>)Delegate.CreateDelegate(typeof(Action<Conversation>), method);
            return (way, name) =>
            {
                using (Conversation conversation = new Conversation(way, name))
                {
                    steps(conversation);
                }
            };
        }
    }
}
