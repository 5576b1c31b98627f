// Turns picked, pasted and dropped files into images that the service takes.

// The service refuses larger images, and other kinds.
const MAX_SIDE_PX = 1024;
const ACCEPTED_TYPES = ["image/png", "image/jpeg", "image/webp"];

/** `{name, url}` with a data URI, scaled down where needed; rejects when the browser can't read the file. */
export async function toImage(file) {
  // Applies the EXIF orientation.
  const bitmap = await createImageBitmap(file);
  try {
    const isFit = Math.max(bitmap.width, bitmap.height) <= MAX_SIDE_PX && ACCEPTED_TYPES.includes(file.type);
    const blob = isFit ? file : await scaledDown(bitmap);
    return { name: file.name || "pasted image", url: await toDataUri(blob) };
  } finally {
    bitmap.close();
  }
}

function scaledDown(bitmap) {
  const scale = Math.min(1, MAX_SIDE_PX / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no image"))), "image/png");
  });
}

function toDataUri(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(blob);
  });
}
