import java.io.BufferedReader;
import java.io.InputStreamReader;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;

/**
 * The JDK's own PBKDF2 on one thread: for each line of standard input, derives as many keys as it
 * says and prints the keys per second. Run with `java Pbkdf2.java`.
 */
public class Pbkdf2 {
  public static void main(String[] arguments) throws Exception {
    var factory = SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256");
    var lines = new BufferedReader(new InputStreamReader(System.in));
    for (var line = lines.readLine(); line != null; line = lines.readLine()) {
      int count = Integer.parseInt(line);
      long begin = System.nanoTime();
      for (int number = 0; number < count; number++) {
        byte[] salt = String.format("%015d", number).getBytes();
        var password = "nsrkGE&-p1Qh*Gn$3P0&Qt0s9!uz1U_I".toCharArray();
        factory.generateSecret(new PBEKeySpec(password, salt, 65_536, 256)).getEncoded();
      }
      System.out.println(count * 1e9 / (System.nanoTime() - begin));
    }
  }
}
