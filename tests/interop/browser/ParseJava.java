import com.sun.source.util.JavacTask;
import java.nio.file.Path;
import java.util.List;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaFileObject;
import javax.tools.ToolProvider;

/** Parses a Java file without resolving its names, and exits with 1 if its syntax is wrong. */
class ParseJava {
  public static void main(String[] files) throws Exception {
    var compiler = ToolProvider.getSystemJavaCompiler();
    var found = new DiagnosticCollector<JavaFileObject>();
    try (var manager = compiler.getStandardFileManager(found, null, null)) {
      var units = manager.getJavaFileObjects(Path.of(files[0]));
      ((JavacTask) compiler.getTask(null, manager, found, List.of("-proc:none"), null, units)).parse();
    }
    var errors = found.getDiagnostics().stream().filter(one -> one.getKind() == Diagnostic.Kind.ERROR).toList();
    errors.forEach(System.err::println);
    System.exit(errors.isEmpty() ? 0 : 1);
  }
}
