using System;

namespace Matrix
{
    /// <summary>Lines for whoever started the program: fields with tabs between them.</summary>
    public static class Report
    {
        private static readonly object OneAtATime = new object();

        public static void Line(params string[] fields)
        {
            for (int i = 0; i < fields.Length; i++)
            {
                fields[i] = (fields[i] ?? "").Replace('\t', ' ').Replace('\n', ' ').Replace('\r', ' ');
            }
            lock (OneAtATime)
            {
                Console.Out.WriteLine(string.Join("\t", fields));
                Console.Out.Flush();
            }
        }
    }
}
